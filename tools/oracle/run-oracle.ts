import { cells, type Cell } from "./cells.ts";
import type { Observed } from "./client.ts";
import { planted, plantedCells } from "./planted.ts";
import { runCell, type CellRun } from "./run-cell.ts";

export interface OracleOptions {
  /** Runs every n-th cell. Default 1: all 2,560. */
  readonly every?: number;
  /** Which of them first. Default 0. */
  readonly offset?: number;
  readonly onProgress?: (done: number, of: number) => void;
}

export interface Mismatch {
  readonly cell: Cell;
  readonly reason: string;
}

export interface OracleResult {
  readonly cells: number;
  readonly identical: number;
  readonly mismatches: readonly Mismatch[];
  /** Cells whose fault did not strike: they prove nothing. */
  readonly unconfirmed: number;
  readonly migrations: number;
  /** Longest silence of a stream that went on elsewhere, in virtual milliseconds, by fault. */
  readonly worstGapMs: Readonly<Record<string, number>>;
  readonly recomputedTokensMax: number;
  readonly planted: number;
  readonly caught: number;
  readonly missed: readonly string[];
  readonly seconds: number;
}

/** Compares every cell with its undisturbed run, then plants defects and sees that they are caught. */
export async function runOracle(options: OracleOptions = {}): Promise<OracleResult> {
  const startedMs = performance.now();
  const list = cells(options.every, options.offset);
  const undisturbed = new Map<string, Promise<CellRun>>();
  const baseline = (cell: Cell): Promise<CellRun> => {
    const key = `${cell.sampling} ${cell.delivery} ${cell.api}`;
    let run = undisturbed.get(key);
    if (run === undefined) undisturbed.set(key, (run = runCell(cell, false)));
    return run;
  };
  const mismatches: Mismatch[] = [];
  const worstGapMs: Record<string, number> = {};
  let identical = 0;
  let unconfirmed = 0;
  let migrations = 0;
  let recomputedTokensMax = 0;

  for (const [at, cell] of list.entries()) {
    const expected = await baseline(cell);
    const reason = await runCell(cell, true).then(
      (run) => {
        migrations += run.migrations;
        if (!run.isConfirmed) unconfirmed += 1;
        worstGapMs[cell.fault] = Math.max(worstGapMs[cell.fault] ?? 0, Math.round(run.gapMs));
        recomputedTokensMax = Math.max(recomputedTokensMax, run.recomputedTokens);
        return (
          difference(expected.observed, run.observed) ??
          (run.leakedBlocks > 0 ? `${run.leakedBlocks} blocks or bookings leaked` : undefined)
        );
      },
      (error: unknown) => `failed: ${String(error)}`,
    );
    if (reason === undefined) identical += 1;
    else mismatches.push({ cell, reason });
    options.onProgress?.(at + 1, list.length);
  }

  const missed: string[] = [];
  let plantings = 0;
  for (const { name, options: spoiled } of planted) {
    for (const cell of plantedCells) {
      plantings += 1;
      const expected = await baseline(cell);
      const isCaught = await runCell(cell, true, spoiled).then(
        (run) => difference(expected.observed, run.observed) !== undefined,
        () => true,
      );
      if (!isCaught) missed.push(`${name}, at index ${cell.index} of ${cell.api}`);
    }
  }
  return {
    cells: list.length,
    identical,
    mismatches,
    unconfirmed,
    migrations,
    worstGapMs,
    recomputedTokensMax,
    planted: plantings,
    caught: plantings - missed.length,
    missed,
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
  };
}

function difference(expected: Observed, observed: Observed): string | undefined {
  for (const key of Object.keys(expected) as (keyof Observed)[]) {
    const [a, b] = [JSON.stringify(expected[key]), JSON.stringify(observed[key])];
    if (a !== b) return `${key}: expected ${String(a).slice(0, 200)}, got ${String(b).slice(0, 200)}`;
  }
  return observed.error === undefined ? undefined : `error: ${JSON.stringify(observed.error)}`;
}
