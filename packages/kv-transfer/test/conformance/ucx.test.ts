import { afterEach, describe, expect, it } from "vitest";
import { createAgent, describe as pieces, ucx } from "@stator/kv-transfer";
import { fillPattern, patternBytes } from "@stator/kv-transfer/testing";
import { conforms, hasAddon, specifier } from "./suite.ts";

// Another UCX than the system's: STATOR_UCX_LIBRARY=/path/to/libucp.so.0 runs the same suite on it.
const library = process.env.STATOR_UCX_LIBRARY;
const options = library === undefined ? {} : { library };
const isThere = hasAddon();
const reason = await createAgent({ transports: [ucx(options)] }).then(
  async (agent) => {
    await agent.close();
    return undefined;
  },
  (error: Error) => error.message,
);
if (reason === undefined)
  conforms("UCX", {
    transport: () => ucx(options),
    module: { specifier, export: "ucx", options, takesPort: true },
  });
else console.log(`skipped: UCX: ${reason}`);

describe.skipIf(!isThere)("which UCX", () => {
  afterEach(() => {
    delete process.env.UCX_TLS;
  });

  it("none, or a library that is none of it, is an error that says what is missing", async () => {
    await expect(
      createAgent({ transports: [ucx({ library: "/nowhere/libucp.so.0" })] }),
    ).rejects.toMatchObject({
      code: "TRANSFER_NATIVE_UNAVAILABLE",
      message: expect.stringMatching(/nowhere.*Install libucx0/s) as string,
    });
    await expect(createAgent({ transports: [ucx({ library: "libm.so.6" })] })).rejects.toMatchObject({
      code: "TRANSFER_NATIVE_UNAVAILABLE",
      message: expect.stringContaining("it lacks ucp_init_version") as string,
    });
  });

  it.skipIf(reason !== undefined)("what the operator set in the environment holds, and is told", async () => {
    process.env.UCX_TLS = "tcp,self";
    const [initiator, target] = await Promise.all([
      createAgent({ transports: [ucx(options)] }),
      createAgent({ transports: [ucx(options)] }),
    ]);
    const there = await target.allocate({ bytes: 300_000 });
    await fillPattern(there, 2);
    const peer = initiator.importMetadata(target.exportMetadata());
    const here = initiator.register(new Uint8Array(300_000));
    const whole = [{ offset: 0, bytes: 300_000 }];
    await initiator.transfer({
      operation: "read",
      peer,
      local: pieces(here, whole),
      remote: pieces(peer.region(there.id), whole),
    });
    expect(Buffer.compare(here.read(0, 300_000), patternBytes(2, 0, 300_000))).toBe(0);
    expect(initiator.explain(peer).path).toContain("UCX_TLS=tcp,self");
    await Promise.all([initiator.close(), target.close()]);
  });
});
