import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { cma, createAgent, tcp } from "@stator/kv-transfer";
import { patternBytes, spawnPeer } from "@stator/kv-transfer/testing";
import { conforms, hasAddon, specifier } from "./suite.ts";

const isThere = hasAddon();
if (isThere)
  conforms("cross-memory attach", { transport: () => cma(), module: { specifier, export: "cma" } });

// A root without capabilities may not look into one that has them, as a container's process may not into the host's.
const within = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
const canDrop =
  isThere && process.getuid?.() === 0 && spawnSync(within[0]!, [...within.slice(1), "true"]).status === 0;
if (isThere && !canDrop) console.log("skipped: a peer that may not attach: needs root and setpriv");

it.skipIf(!canDrop)(
  "where the kernel refuses to attach, bytes take the next way and both sides can say why",
  async () => {
    const target = await createAgent({ transports: [cma(), tcp()] });
    const there = target.register(new Uint8Array(100_000));
    const child = await spawnPeer({ within });
    try {
      await child.call({
        do: "open",
        name: "unprivileged",
        module: specifier,
        transports: [{ export: "cma" }, { export: "tcp" }],
      });
      const id = (await child.call({
        do: "allocate",
        bytes: 100_000,
        fill: 4,
        isRegistered: true,
      })) as number;
      await child.call({ do: "import", blob: Buffer.from(target.exportMetadata()).toString("base64") });
      const told = target.expect("unprivileged", "written", 1);
      const ask = {
        do: "write",
        peer: target.name,
        region: id,
        remote: there.id,
        bytes: 100_000,
        notify: "written",
      } as const;
      expect(await child.call(ask)).toEqual(["tcp"]);
      await told;
      expect(Buffer.compare(there.read(0, 100_000), patternBytes(4, 0, 100_000))).toBe(0);
      await expect(child.call({ ...ask, require: ["cma"] })).rejects.toThrow(
        /ptrace_scope|cooling|TRANSFER_/,
      );
    } finally {
      await child.close();
      await target.close();
    }
  },
);
