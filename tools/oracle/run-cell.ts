import { createVirtualClock, type Engine, type RequestEvent } from "@stator/core";
import { linearStepTime } from "@stator/engines/simulated";
import { createOpenAIHandler } from "@stator/frontend";
import {
  always,
  createPool,
  createSelector,
  disaggregated,
  migrating,
  type ClosablePool,
} from "@stator/router";
import { createTestCluster, type TestCluster } from "@stator/testing";
import type { Cell } from "./cells.ts";
import { ask, type Observed } from "./client.ts";
import { createSeveredTransfer, type SeveredTransfer } from "./severed-transfer.ts";

export interface CellRun {
  readonly observed: Observed;
  /** The fault did strike. */
  readonly isConfirmed: boolean;
  readonly migrations: number;
  readonly gapMs: number;
  readonly recomputedTokens: number;
  /** KV blocks still held when all was over. */
  readonly leakedBlocks: number;
}

export interface CellOptions {
  /** Planted defects: put around the graph below `migrating`. */
  readonly spoil?: (engine: Engine) => Engine;
  /** Called before the request is sent. */
  readonly prepare?: (cluster: TestCluster, graph: Engine) => Promise<void>;
  /** Called when the fault strikes. */
  readonly onFault?: (cluster: TestCluster, struck: string) => void;
}

const decoders = ["decode-0", "decode-1", "decode-2"];

/** Runs one cell in virtual time, over real sessions; without `isHurt` it is the undisturbed run. */
export async function runCell(cell: Cell, isHurt: boolean, options: CellOptions = {}): Promise<CellRun> {
  const clock = createVirtualClock();
  const transfer = createSeveredTransfer(clock);
  const engine = {
    transfer,
    onHandoffFailure: "fail" as const,
    stepTime: linearStepTime({ baseMs: 20, perPrefillTokenMs: 0.05 }),
  };
  await using cluster = await createTestCluster({
    clock,
    workers: [
      { role: "decode", count: decoders.length, engine },
      { role: "prefill", count: 2, engine },
    ],
  });
  const { runtime } = cluster;
  // Thousands of pools are made in one run: each with a small index.
  const poolOf = (role: "prefill" | "decode"): ClosablePool =>
    createPool({
      workers: runtime.workers({ role }),
      clock,
      name: role,
      // Blocks in use are counted when a cell ends.
      probe: "off",
      selector: createSelector({ clock, index: { maxBytes: 1024 * 1024 } }),
    });
  const prefill = poolOf("prefill");
  const decode = poolOf("decode");
  const joined = disaggregated({ prefill, decode, when: always, clock });
  const graph = migrating(options.spoil?.(joined) ?? joined, { clock, random: () => 0.5 });
  const migrated: Extract<RequestEvent, { type: "migrated" }>[] = [];
  const handler = createOpenAIHandler({
    models: { tiny: graph },
    clock,
    observers: [
      (event) => {
        if (event.type === "migrated") migrated.push(event);
      },
    ],
  });
  const { prepare } = options;
  if (prepare !== undefined) await clock.run(prepare(cluster, graph));
  const state = { isConfirmed: false };
  if (isHurt) arm(cluster, cell, transfer, clock, state, options.onFault);
  const observed = await clock.run(ask(handler, cell), 120_000);
  await clock.pass(100);
  const leakedBlocks = cluster.usedBlocks() + prefill.counts.booked + decode.counts.booked;
  await prefill.close();
  await decode.close();
  return {
    observed,
    isConfirmed: state.isConfirmed || transfer.cuts > 0,
    migrations: migrated.length,
    gapMs: Math.max(0, ...migrated.map(({ gapMs }) => gapMs)),
    recomputedTokens: Math.max(0, ...migrated.map(({ recomputedTokens }) => recomputedTokens)),
    leakedBlocks,
  };
}

/** Lets the fault strike the worker that decodes, at the cell's index. */
function arm(
  cluster: TestCluster,
  { index, fault }: Cell,
  transfer: SeveredTransfer,
  clock: ReturnType<typeof createVirtualClock>,
  state: { isConfirmed: boolean },
  onFault: CellOptions["onFault"],
): void {
  if (fault === "transferCut") {
    const how = index % 2 === 0 ? "fails" : "hangs";
    // The first half cuts the first transfer at some block; the second half the one after a kill at the index.
    transfer.cut(index < 32 ? 0 : 1, (index * 2) % 64, how);
    if (index < 32) return;
  }
  for (const name of decoders) {
    cluster.at(name, index, () => {
      if (state.isConfirmed) return;
      state.isConfirmed = true;
      switch (fault) {
        case "kill":
        case "transferCut":
          cluster.kill(name);
          break;
        case "stop":
          cluster.stop(name);
          // Late tokens of the old attempt come while the new one runs.
          clock.schedule(1_500, () => cluster.thaw(name));
          break;
        case "unplug":
          cluster.unplug(name);
          break;
        case "drain":
          void cluster.drain(name);
          clock.schedule(60, () => void cluster.worker(name).served.close());
      }
      onFault?.(cluster, name);
    });
  }
}
