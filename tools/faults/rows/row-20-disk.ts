import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
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
  zero: ["left", "litter", "deaths"],
  run: (context) =>
    trial(context, {}, async ({ rig }) => {
      let left = 0;
      const stop = rig.runtime.workers().onChange(({ type }) => (left += type === "left" ? 1 : 0));
      // The soft limit only, so that it can be taken back.
      const limit = (bytes: string): void => {
        for (const { name } of rig.workers)
          execFileSync("prlimit", ["--pid", String(rig.process(name).pid), `--fsize=${bytes}:`]);
      };
      const records = async (): Promise<string[]> =>
        (await readdir(folder)).filter((name) => name.endsWith(".json"));
      const folder = join(rig.folder, "default");
      limit("0");
      // A renewal only touches its file; a record that is gone has to be written.
      for (const name of await records()) await rm(join(folder, name));
      // Longer than a lease: without their sessions all would be gone.
      await pause(7_000);
      const confirmed = (await records()).length === 0 ? 1 : 0;
      const litter = (await readdir(folder)).length;
      limit("unlimited");
      const healedMs = performance.now();
      await using late = await createRuntime({ discovery: fileDiscovery({ dir: rig.folder }) });
      const seen = late.workers();
      await until("all are registered again", () => seen.current().length === rig.workers.length);
      stop();
      const deaths = rig.supervisor.processes.reduce((sum, { restarts }) => sum + restarts, 0);
      return {
        faults: 1,
        confirmed,
        recoveryMs: [performance.now() - healedMs],
        more: { left, litter, deaths },
      };
    }),
};
