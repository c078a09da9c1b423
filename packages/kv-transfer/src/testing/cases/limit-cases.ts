import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe } from "../../agent/descriptors.ts";
import { patternBytes } from "../pattern.ts";
import type { ConformanceCase } from "../transport-suite.ts";

const whole = (bytes: number) => [{ offset: 0, bytes }];

/** Whether this machine can start processes with fewer resources. */
const hasLimits = spawnSync("prlimit", ["--version"]).status === 0;

/** What happens where something runs out. */
export const limitCases: readonly ConformanceCase[] = [
  {
    name: "two processes: a target without descriptors and with little lockable memory serves whom it knows, fails others with an error, and recovers",
    async run({ agent, memory, peerProcess }) {
      // Elsewhere than on Linux there is no such command.
      if (!hasLimits) return;
      const bytes = 2_000_000;
      const child = await peerProcess("poor", {
        within: ["prlimit", "--nofile=512:512", `--memlock=${8 * 2 ** 20}`],
      });
      const id = (await child.call({ do: "allocate", bytes, fill: 3, memory })) as number;
      const metadata = Buffer.from((await child.call({ do: "metadata" })) as string, "base64");
      const readOf = async (name: string) => {
        const initiator = await agent(name);
        const peer = initiator.importMetadata(metadata);
        const here = initiator.register(new Uint8Array(bytes));
        return async (): Promise<void> => {
          here.write(0, new Uint8Array(bytes));
          await initiator.transfer({
            operation: "read",
            peer,
            local: describe(here, whole(bytes)),
            remote: describe(peer.region(id), whole(bytes)),
            deadlineMs: 10_000,
          });
          assert.equal(Buffer.compare(here.read(0, bytes), patternBytes(3, 0, bytes)), 0);
        };
      };
      const known = await readOf("known");
      await known();
      assert.equal(await child.call({ do: "exhaust" }), "EMFILE");
      await known();
      // Its connection is accepted only to be hung up, or not at all.
      const stranger = await readOf("stranger");
      await assert.rejects(stranger(), (error: { kind?: string }) => {
        assert.ok(["unavailable", "deadline", "notFound"].includes(error.kind ?? ""), String(error));
        return true;
      });
      // An allocation that needs a descriptor is refused in words; others succeed.
      await child.call({ do: "allocate", bytes, fill: 1, memory }).catch((error: Error) => {
        assert.match(error.message, /TRANSFER_(LIMIT|TRANSPORT_FAILED)/);
      });
      await child.call({ do: "relax" });
      await known();
      await (
        await readOf("another")
      )();
    },
  },
];
