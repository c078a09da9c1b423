import { expect, it } from "vitest";
import { createAgent, describe as pieces, tcp } from "@stator/kv-transfer";
import { conforms, hasAddon, specifier } from "./suite.ts";

if (hasAddon()) {
  conforms("tcp by native threads", {
    transport: () => tcp(),
    module: { specifier, export: "tcp", takesPort: true },
  });
  conforms("tcp by native threads with three connections", {
    transport: () => tcp({ connections: 3 }),
    module: { specifier, export: "tcp", options: { connections: 3 }, takesPort: true },
  });
  conforms(
    "tcp to a peer without the addon",
    {
      transport: () => tcp(),
      needsLoopOf: "both",
      module: { specifier, export: "tcp", options: { dataPath: "typescript" } },
    },
    /two processes: (reads|blocks)/,
  );
}

it("an agent that comes back under the same name and port is another one to whoever knew the first", async () => {
  const initiator = await createAgent({ transports: [tcp()] });
  const first = await createAgent({ name: "phoenix", transports: [tcp()] });
  const before = first.register(new Uint8Array(100).fill(1));
  const blob = first.exportMetadata();
  const port = Number(/:(\d+)/.exec(initiator.explain(initiator.importMetadata(blob)).path ?? "")?.[1]);
  await first.close();
  const second = await createAgent({ name: "phoenix", transports: [tcp({ port })] });
  second.register(new Uint8Array(100).fill(2));
  const peer = initiator.peer("phoenix")!;
  const here = initiator.register(new Uint8Array(100));
  await expect(
    initiator.transfer({
      operation: "read",
      peer,
      local: pieces(here, [{ offset: 0, bytes: 100 }]),
      remote: pieces(peer.region(before.id), [{ offset: 0, bytes: 100 }]),
    }),
  ).rejects.toMatchObject({ code: "TRANSFER_PEER_LOST" });
  expect(here.read(0, 100).every((byte) => byte === 0)).toBe(true);
  await Promise.all([initiator.close(), second.close()]);
});
