import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { createRuntime, fileDiscovery } from "@stator/runtime";
import { createIndexSnapshots, createSelector, type Selector } from "@stator/router";
import { until } from "@stator/testing";
import type { Row } from "../../row.ts";
import { trial, type Trial } from "../../trial.ts";
import { createSmallDisk } from "./small-disk.ts";
import { pause } from "../../pause.ts";

export const row20: Row = {
  row: 20,
  title: "Disk full: no worker can renew its record in a file, and an index snapshot does not fit",
  needs: "prlimit",
  engines: ["simulated"],
  zero: ["left", "litter", "deaths", "snapshotsLost"],
  run: (context) =>
    trial(context, {}, async ({ rig, passed }) => {
      let left = 0;
      const stop = rig.runtime.workers().onChange(({ type }) => (left += type === "left" ? 1 : 0));
      const snapshot = await snapshotOnFullDisk(rig, () => passed(context.profile.clients * 4));
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
      const isGone = (await records()).length === 0;
      // A try that goes on has a file for a moment; what is left behind is there at every look.
      let kept = Number.POSITIVE_INFINITY;
      for (let look = 0; look < 20; look++) {
        kept = Math.min(kept, (await readdir(folder)).length);
        await pause(25);
      }
      const litter = kept + snapshot.litter;
      limit("unlimited");
      const healedMs = performance.now();
      await using late = await createRuntime({ discovery: fileDiscovery({ dir: rig.folder }) });
      const seen = late.workers();
      await until("all are registered again", () => seen.current().length === rig.workers.length);
      stop();
      const deaths = rig.supervisor.processes.reduce((sum, { restarts }) => sum + restarts, 0);
      const { isReal, failures, blocksBefore, blocksAfter } = snapshot;
      return {
        faults: 2,
        confirmed: (isGone ? 1 : 0) + (failures === 1 ? 1 : 0),
        recoveryMs: [performance.now() - healedMs],
        more: {
          left,
          litter,
          deaths,
          noSpace: isReal ? 1 : 0,
          snapshotFailures: failures,
          snapshotBlocks: blocksAfter,
          snapshotsLost: blocksBefore > 0 && blocksAfter === blocksBefore ? 0 : 1,
        },
      };
    }),
};

/** Saves an index, fills the disk, saves the grown index in vain, and loads what is there. */
async function snapshotOnFullDisk(
  rig: Trial["rig"],
  grow: () => Promise<void>,
): Promise<{
  readonly isReal: boolean;
  readonly failures: number;
  readonly litter: number;
  readonly blocksBefore: number;
  readonly blocksAfter: number;
}> {
  await using disk = await createSmallDisk(join(rig.folder, "disk"));
  const known = (): Selector => {
    const selector = createSelector();
    for (const { worker, card } of rig.runtime.workers().current()) selector.addWorker(worker, card);
    return selector;
  };
  const blocksOf = (selector: Selector): number =>
    selector.loads().reduce((sum, { indexedBlocks }) => sum + indexedBlocks, 0);
  const selector = known();
  const stops = rig.runtime
    .workers()
    .current()
    .map(({ worker, engine }) =>
      engine.onStatus?.(({ events }) =>
        events?.forEach((batch) => selector.observe({ ...batch, worker: worker.id, epoch: worker.epoch })),
      ),
    );
  const path = join(disk.folder, "index");
  const snapshots = createIndexSnapshots({ selector, path });
  await until("the index holds blocks", () => blocksOf(selector) > 0);
  const blocksBefore = blocksOf(selector);
  await snapshots.save();
  const saved = known();
  await createIndexSnapshots({ selector: saved, path }).load();
  await grow();
  await disk.whileFull(() => snapshots.save());
  for (const stop of stops) stop?.();
  const again = known();
  await createIndexSnapshots({ selector: again, path }).load();
  return {
    isReal: disk.isReal,
    failures: snapshots.failures,
    litter: (await readdir(disk.folder)).length - 1,
    blocksBefore: blocksBefore > 0 ? blocksOf(saved) : 0,
    blocksAfter: blocksOf(again),
  };
}
