import { execFileSync } from "node:child_process";
import { createRuntime, fileDiscovery } from "@stator/runtime";
import { until } from "@stator/testing";
import type { Row } from "../row.ts";
import { trial } from "../trial.ts";
import { pause } from "./store.ts";

export const row20: Row = {
  row: 20,
  title: "No worker can write a file any more: registrations cannot be renewed",
  needs: "prlimit",
  engines: ["simulated"],
  zero: ["left"],
  run: (context) =>
    trial(context, {}, async ({ rig }) => {
      let left = 0;
      const stop = rig.runtime.workers().onChange(({ type }) => (left += type === "left" ? 1 : 0));
      // The soft limit only, so that it can be taken back.
      const limit = (bytes: string): void => {
        for (const { name } of rig.workers)
          execFileSync("prlimit", ["--pid", String(rig.process(name).pid), `--fsize=${bytes}:`]);
      };
      limit("0");
      // Longer than a lease: without their sessions all would be gone.
      await pause(7_000);
      limit("unlimited");
      const healedMs = performance.now();
      await using late = await createRuntime({ discovery: fileDiscovery({ dir: rig.folder }) });
      const seen = late.workers();
      await until("all are registered again", () => seen.current().length === rig.workers.length);
      stop();
      return { faults: 1, confirmed: 1, recoveryMs: [performance.now() - healedMs], more: { left } };
    }),
};
