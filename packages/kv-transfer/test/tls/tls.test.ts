import { afterEach, describe, expect, it } from "vitest";
import {
  createAgent,
  describe as pieces,
  tcp,
  type Region,
  type TcpOptions,
  type TransferAgent,
  type TransferAgentOptions,
} from "@stator/kv-transfer";
import { patternBytes, type PeerProcess, spawnPeer } from "@stator/kv-transfer/testing";
import { advertising, openTcpProxy } from "../../src/testing/tcp-proxy.ts";
import { conforms, specifier } from "../conformance/suite.ts";
import { type Certificate, hasOpenssl, makeCertificate } from "./certificates.ts";

if (!hasOpenssl) console.log("skipped: TLS: no openssl to make certificates with");

const bytes = 300_000;
const whole = [{ offset: 0, bytes }];
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

/** Mutual: each side shows its certificate and asks for the other's. */
const mutual = ({ key, cert, ca }: Certificate, trusted = ca): TcpOptions => ({
  tls: {
    server: { key, cert, ca: trusted, requestCert: true, rejectUnauthorized: true },
    client: { key, cert, ca: trusted },
  },
});

const openAgent = async (options: TcpOptions, rest: Partial<TransferAgentOptions> = {}) => {
  const agent = await createAgent({ transports: [tcp(options)], connectDeadlineMs: 2000, ...rest });
  closers.push(() => agent.close());
  return agent;
};

/** A second process with one region of pattern 5. */
async function openTarget(
  options: TcpOptions,
): Promise<{ readonly child: PeerProcess; readonly blob: Buffer; readonly id: number }> {
  const child = await spawnPeer();
  closers.push(() => child.close());
  await child.call({
    do: "open",
    name: "target",
    module: specifier,
    transports: [{ export: "tcp", options }],
  });
  const id = (await child.call({ do: "allocate", bytes, fill: 5 })) as number;
  const blob = Buffer.from((await child.call({ do: "metadata" })) as string, "base64");
  return { child, blob, id };
}

/** Reads the region, after the metadata has been changed on its way. */
async function readFrom(
  initiator: TransferAgent,
  blob: Uint8Array,
  id: number,
  required?: readonly string[],
): Promise<Region> {
  const peer = initiator.importMetadata(blob);
  const here = initiator.register(new Uint8Array(bytes));
  await initiator.transfer({
    operation: "read",
    peer,
    local: pieces(here, whole),
    remote: pieces(peer.region(id), whole),
    ...(required === undefined ? {} : { require: { transports: required } }),
  });
  return here;
}

/** The same metadata, saying the opposite about TLS: what a liar in the middle would make of it. */
function lyingAboutTls(blob: Uint8Array): Uint8Array {
  const forged = Buffer.from(blob);
  const host = forged.indexOf("127.0.0.1");
  const flag = host + "127.0.0.1".length + 4;
  forged.writeUInt8(1 - forged.readUInt8(flag), flag);
  return forged;
}

describe.skipIf(!hasOpenssl)("TCP with TLS", () => {
  const own = hasOpenssl ? makeCertificate() : ({} as Certificate);
  const strange = hasOpenssl ? makeCertificate() : ({} as Certificate);

  if (hasOpenssl) {
    const options = mutual(own);
    conforms(
      "every case between two processes",
      {
        transport: () => tcp(options),
        needsLoopOf: "both",
        module: { specifier, export: "tcp", options, takesPort: true },
      },
      /two processes|odd sizes|scattered|order/,
    );
  }

  it("moves the data by TypeScript, says so, and satisfies who requires tcp", async () => {
    const { blob, id } = await openTarget(mutual(own));
    const initiator = await openAgent(mutual(own));
    const here = await readFrom(initiator, blob, id, ["tcp"]);
    expect(Buffer.compare(here.read(0, bytes), patternBytes(5, 0, bytes))).toBe(0);
    const told = initiator.explain(initiator.peer("target")!);
    expect(told).toMatchObject({
      chosen: "tcp",
      path: expect.stringContaining("TLS, moved by TypeScript") as string,
    });
  });

  it("shows nothing of the data to who listens on the line; without TLS it does", async () => {
    const needle = Buffer.from(patternBytes(5, 1000, 64));
    const seenBy = async (options: TcpOptions): Promise<boolean> => {
      let port = 0;
      const seen: Uint8Array[] = [];
      const proxy = await openTcpProxy({ to: () => port, see: (chunk) => seen.push(Uint8Array.from(chunk)) });
      closers.push(() => proxy.close());
      const target = await createAgent({
        transports: [advertising(tcp(options), proxy.port, (real) => (port = real))],
      });
      closers.push(() => target.close());
      const there = target.register(patternBytes(5, 0, bytes));
      await readFrom(await openAgent(options), target.exportMetadata(), there.id);
      return Buffer.concat(seen).includes(needle);
    };
    expect(await seenBy(mutual(own))).toBe(false);
    expect(await seenBy({ dataPath: "typescript" })).toBe(true);
  });

  it("a target of another authority is refused, and no other way is tried in its place", async () => {
    const { blob, id } = await openTarget(mutual(own));
    const initiator = await openAgent(mutual(strange));
    await expect(readFrom(initiator, blob, id)).rejects.toMatchObject({
      code: "TRANSFER_UNAUTHORIZED",
      kind: "unauthorized",
    });
  });

  it("an initiator of another authority is refused at the target, which goes on serving others", async () => {
    const { blob, id } = await openTarget(mutual(own));
    const intruder = await openAgent(mutual(strange, own.ca));
    await expect(readFrom(intruder, blob, id)).rejects.toMatchObject({ kind: "unavailable" });
    const friend = await openAgent(mutual(own));
    const here = await readFrom(friend, blob, id);
    expect(Buffer.compare(here.read(0, bytes), patternBytes(5, 0, bytes))).toBe(0);
  });

  for (const [who, atInitiator, atTarget] of [
    ["a plain initiator and a target with TLS", {}, mutual(own)],
    ["an initiator with TLS and a plain target", mutual(own), {}],
  ] as const) {
    it(`${who} do not reach each other: explain, require and the transfer say why`, async () => {
      const { blob, id } = await openTarget(atTarget);
      const initiator = await openAgent(atInitiator);
      const peer = initiator.importMetadata(blob);
      const reason = /speaks TLS and .* does not: give both `tls`/;
      expect(initiator.explain(peer)).toMatchObject({
        chosen: undefined,
        candidates: [
          {
            transport: "tcp",
            reach: { isReachable: false, reason: expect.stringMatching(reason) as string },
          },
        ],
      });
      for (const required of [undefined, ["tcp"]])
        await expect(readFrom(initiator, blob, id, required)).rejects.toMatchObject({
          code: "TRANSFER_PATH_UNAVAILABLE",
          message: expect.stringMatching(reason) as string,
        });
    });

    it(`${who} exchange nothing even where the metadata lies`, async () => {
      const { child, blob, id } = await openTarget(atTarget);
      const initiator = await openAgent(atInitiator, { connectDeadlineMs: 500 });
      const before = await child.call({ do: "digest", region: id });
      await expect(readFrom(initiator, lyingAboutTls(blob), id)).rejects.toMatchObject({
        code: expect.stringMatching(/TRANSFER_(INCOMPATIBLE|DEADLINE|TRANSPORT_FAILED)/) as string,
      });
      expect(await child.call({ do: "digest", region: id })).toBe(before);
    });
  }
});
