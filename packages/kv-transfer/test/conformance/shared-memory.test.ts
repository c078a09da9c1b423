import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { createAgent, sharedMemory } from "@stator/kv-transfer";
import { conforms, hasAddon, ownFolder, specifier } from "./suite.ts";

conforms("shared memory through files", {
  transport: () => sharedMemory({ backing: "files" }),
  isSparse: true,
  needsLoopOf: "initiator",
  module: { specifier, export: "sharedMemory", options: { backing: "files" } },
});

if (hasAddon()) {
  conforms("shared memory through memfds", {
    transport: () => sharedMemory(),
    module: { specifier, export: "sharedMemory" },
  });
  conforms(
    "a memfd seen without the addon",
    {
      transport: () => sharedMemory({ backing: "files" }),
      needsLoopOf: "initiator",
      module: { specifier, export: "sharedMemory" },
    },
    /two processes: (reads|blocks)/,
  );
}

const full = ownFolder("full");
const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", full]).status === 0;
if (!isMounted) console.log("skipped: a full /dev/shm: this user can't mount one");

it.skipIf(!isMounted)(
  "a full /dev/shm is an error that says so, and what was there before goes on",
  async () => {
    const directory = full;
    const agent = await createAgent({ transports: [sharedMemory({ backing: "files", directory })] });
    try {
      const small = await agent.allocate({ bytes: 500_000 });
      small.write(0, new Uint8Array(500_000).fill(7));
      const large = await agent.allocate({ bytes: 8_000_000 });
      expect(() => large.write(0, new Uint8Array(8_000_000))).toThrow(
        expect.objectContaining({ code: "TRANSFER_LIMIT", kind: "overloaded" }),
      );
      await large.deregister();
      expect(small.read(0, 500_000).every((byte) => byte === 7)).toBe(true);
      small.write(0, new Uint8Array(500_000).fill(8));
    } finally {
      await agent.close();
      spawnSync("umount", [full]);
    }
  },
);
