import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { silentLogger } from "@stator/core";
import { createAgent } from "../../agent/create-agent.ts";
import { describe } from "../../agent/descriptors.ts";
import type { Region } from "../../agent/region.ts";
import type { Peer, TransferAgent } from "../../agent/transfer-agent.ts";
import type { Transport } from "../../transport/transport.ts";
import { createHandoffSink } from "../../handoff/handoff-sink.ts";
import { createHandoffSource } from "../../handoff/handoff-source.ts";
import { collectGarbage } from "../collect-garbage.ts";
import { endWorkerInTransfer } from "./ended-worker.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import type { PeerCommand } from "./peer-process.ts";
import { accessOf, type RegionAccess } from "../region-access.ts";

let agent: TransferAgent | undefined;
const regions = new Map<number, Region>();
const warnings: string[] = [];
let isChurning = false;
let acknowledged = 0;
const hoard: number[] = [];
const need = (): TransferAgent => {
  if (agent === undefined) throw new Error("open comes first");
  return agent;
};
const regionOf = (id: number): Region => {
  const region = regions.get(id);
  if (region === undefined) throw new Error(`no region ${id}`);
  return region;
};

async function run(command: PeerCommand): Promise<unknown> {
  switch (command.do) {
    case "open": {
      const transports: Transport[] = [];
      for (const wanted of command.transports) {
        const module = (await import(wanted.module ?? command.module)) as Record<
          string,
          (options?: unknown) => Transport
        >;
        transports.push((module[wanted.export] as (options?: unknown) => Transport)(wanted.options));
      }
      agent = await createAgent({
        name: command.name,
        connectDeadlineMs: 10_000,
        transports,
        logger: {
          ...silentLogger,
          warn: (message, data) => warnings.push(`${message} ${JSON.stringify(data ?? {})}`),
        },
      });
      return agent.incarnation;
    }
    case "close":
      isChurning = false;
      regions.clear();
      warnings.length = 0;
      await agent?.close();
      agent = undefined;
      return undefined;
    case "exhaust":
      try {
        for (;;) hoard.push(openSync("/dev/null", "r"));
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    case "relax":
      for (const fd of hoard.splice(0)) closeSync(fd);
      return undefined;
    case "allocate": {
      const blocks = command.blockBytes === undefined ? {} : { blockBytes: command.blockBytes };
      const region =
        command.isRegistered === true
          ? need().register(new Uint8Array(command.bytes), blocks)
          : await need().allocate({ bytes: command.bytes, memory: command.memory ?? "host", ...blocks });
      regions.set(region.id, region);
      if (command.fill !== undefined) await fillPattern(accessOf(need(), region), command.fill);
      return region.id;
    }
    case "metadata":
      return Buffer.from(need().exportMetadata()).toString("base64");
    case "pid":
      return process.pid;
    case "residentBytes":
      collectGarbage();
      return process.memoryUsage().rss;
    case "warnings":
      return warnings;
    case "import":
      return need().importMetadata(Buffer.from(command.blob, "base64")).name;
    case "digest": {
      const region = regionOf(command.region);
      return createHash("sha256")
        .update(await accessOf(need(), region).read(0, region.bytes))
        .digest("hex");
    }
    case "fill":
      await fillPattern(accessOf(need(), regionOf(command.region)), command.fill);
      return undefined;
    case "churn": {
      // Reuses a block as an engine does, in bursts, until told to stop: an odd epoch while its bytes are written, then an even one, which they begin with.
      isChurning = true;
      const region = regionOf(command.region);
      const block = Buffer.alloc(command.blockBytes);
      const step = (): void => {
        for (let i = 0; i < 64 && isChurning; i += 1) {
          const epoch = (region.epochs?.bump(0) ?? 0n) + 1n;
          block.fill(Number(epoch % 251n));
          block.writeBigUInt64LE(epoch);
          region.write(0, block);
          region.epochs?.bump(0);
        }
        if (isChurning) setTimeout(step, 1);
      };
      step();
      return undefined;
    }
    case "stopChurn":
      isChurning = false;
      return undefined;
    case "deregister":
      await regionOf(command.region).deregister();
      return undefined;
    case "notify": {
      await notifyAll(need().peer(command.peer), command);
      return undefined;
    }
    case "acknowledged":
      return acknowledged;
    case "tags": {
      const tags: string[] = [];
      for await (const message of need().notifications()) {
        tags.push(message.tag);
        if (message.tag === command.until) break;
      }
      return tags;
    }
    case "killAt":
      return killAt(accessOf(need(), regionOf(command.region)), command);
    case "tellWritten": {
      const access = accessOf(need(), regionOf(command.region));
      while ((await access.read(command.offset, 1))[0] === 0)
        await new Promise((resolve) => setImmediate(resolve));
      writeFileSync(command.file, "");
      return undefined;
    }
    case "exitInTransfer":
      await postToSelf(need(), regionOf(command.region));
      return process.exit(command.code);
    case "expect":
      await need().expect(command.peer, command.tag, command.count);
      return undefined;
    case "write": {
      const peer = need().peer(command.peer);
      if (peer === undefined) throw new Error(`no peer ${command.peer}`);
      const piece = [{ offset: 0, bytes: command.bytes }];
      const stats = await need().transfer({
        operation: "write",
        peer,
        local: describe(regionOf(command.region), piece),
        remote: describe(peer.region(command.remote), piece),
        notify: { tag: command.notify },
        ...(command.require === undefined ? {} : { require: { transports: command.require } }),
      });
      return stats.transports;
    }
    case "offer": {
      const blocks = Array.from({ length: command.blocks }, (_, i) => {
        const bytes = patternBytes(i, 0, command.bytes);
        return { key: createHash("sha256").update(bytes).digest(), bytes };
      });
      const offer = await createHandoffSource({ agent: need() }).offer({ blocks, leaseMs: command.leaseMs });
      return Buffer.from(offer.opaque).toString("base64");
    }
    case "heldLeases":
      return need().heldLeases;
    case "fetch": {
      const got = await createHandoffSink({ agent: need() }).fetch(Buffer.from(command.opaque, "base64"), {
        lacks: () => true,
        signal: new AbortController().signal,
      });
      return got.length;
    }
    case "endWorker":
      await endWorkerInTransfer(command.module, command.export, command.options, command.memory ?? "host");
      return undefined;
    case "blockLoop": {
      writeFileSync(command.blocked, "");
      const never = new Int32Array(new SharedArrayBuffer(4));
      while (!existsSync(command.release)) Atomics.wait(never, 0, 0, 5);
      return undefined;
    }
  }
}

async function killAt(
  region: RegionAccess,
  { fill, places, changed }: Extract<PeerCommand, { readonly do: "killAt" }>,
): Promise<never> {
  const unchanged = new Set(places);
  for (;;) {
    for (const place of unchanged) {
      const [byte] = await region.read(place, 1);
      if (byte !== patternBytes(fill, place, 1)[0]) unchanged.delete(place);
      if (places.length - unchanged.size >= changed) process.kill(process.pid, "SIGKILL");
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Not more under way than a careful sender would have. */
const notifyWindow = 4096;

async function notifyAll(
  peer: Peer | undefined,
  { tag, count, payload }: Extract<PeerCommand, { readonly do: "notify" }>,
): Promise<void> {
  acknowledged = 0;
  let next = 0;
  const fixed = payload === undefined ? undefined : Buffer.from(payload, "base64");
  const lane = async (): Promise<void> => {
    while (next < count) {
      const bytes = fixed ?? new Uint8Array(Uint32Array.of(next).buffer);
      next += 1;
      await peer?.notify(tag, bytes);
      acknowledged += 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, notifyWindow) }, lane));
}

/** Transfers that still run when this returns. */
async function postToSelf(agent: TransferAgent, region: Region): Promise<void> {
  const self = agent.importMetadata(agent.exportMetadata({ regions: [region] }));
  const piece = [{ offset: 0, bytes: region.bytes }];
  for (let i = 0; i < 4; i += 1) {
    const ask = {
      operation: "read",
      peer: self,
      local: describe(agent.register(new Uint8Array(region.bytes)), piece),
      remote: describe(self.region(region.id), piece),
    } as const;
    // Connected first: what only waits for its connection has no thread at work.
    if (i === 0) await agent.transfer(ask);
    else agent.createTransfer(ask).post();
  }
}

process.on("message", ({ id, command }: { id: number; command: PeerCommand }) => {
  run(command).then(
    (value) => {
      if (id !== 0) process.send?.({ id, value });
    },
    (error: unknown) => {
      if (id !== 0)
        process.send?.({
          id,
          error:
            error instanceof Error
              ? `${error.message} ${(error as { code?: string }).code ?? ""}`
              : String(error),
        });
    },
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.({ id: 0 });
