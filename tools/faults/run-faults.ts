import { spawnSync } from "node:child_process";
import { profiles, type Profile, type Row, type RowContext, type RowResult } from "./row.ts";
import { rows } from "./rows/index.ts";
import { seededRandom } from "./statistics.ts";

export interface FaultsOptions {
  /** Default: all. */
  readonly rows?: readonly number[];
  /** Default 1. */
  readonly seeds?: number;
  /** The first seed. Default 1. */
  readonly firstSeed?: number;
  /** Default `ci`. */
  readonly profile?: Profile["name"];
  /** Default `simulated`. */
  readonly engine?: RowContext["engine"];
  readonly onLine?: (line: FaultLine) => void;
}

export type FaultLine = { readonly row: number; readonly title: string; readonly seed: number } & (
  | (RowResult & {
      readonly seconds: number;
      /** Figures beyond those of the matrix. Times are the machine's too: they break no run. */
      readonly missed?: readonly string[];
    })
  | { readonly skipped: string }
);

/** Why the row cannot run here; undefined when it can. */
function skipReason(row: Row, engine: RowContext["engine"]): string | undefined {
  if (!row.engines.includes(engine)) return `not for engine ${engine}`;
  if (row.needs === undefined) return undefined;
  const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` };
  if (spawnSync(row.needs, ["--version"], { env }).status === 0) return undefined;
  if ((process.env["STATOR_REQUIRE"] ?? "").split(",").includes("servers"))
    throw new Error(`${row.needs} is not installed.`);
  return `${row.needs} is not installed`;
}

/** Runs rows of the fault matrix, one after the other. */
export async function runFaults(options: FaultsOptions = {}): Promise<readonly FaultLine[]> {
  const { seeds = 1, firstSeed = 1, engine = "simulated" } = options;
  const profile = profiles[options.profile ?? "ci"];
  const lines: FaultLine[] = [];
  for (const row of rows) {
    if (options.rows !== undefined && !options.rows.includes(row.row)) continue;
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      const head = { row: row.row, title: row.title, seed };
      const skipped = skipReason(row, engine);
      let line: FaultLine;
      if (skipped !== undefined) line = { ...head, skipped };
      else {
        const startedMs = performance.now();
        const context = { seed, random: seededRandom(seed * 100 + row.row), profile, engine };
        // A row that cannot go on says so in its line; the others run.
        const result = await row.run(context).catch(failed);
        const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
        const missed = missedBy(row, result);
        line = { ...head, ...result, seconds, ...(missed.length === 0 ? {} : { missed }) };
      }
      lines.push(line);
      options.onLine?.(line);
    }
  }
  return lines;
}

function failed(error: unknown): RowResult {
  const isVoid = error instanceof Error ? error.message : String(error);
  return {
    faults: 0,
    confirmed: 0,
    requests: 0,
    lost: 0,
    duplicated: 0,
    mismatched: 0,
    recomputedTokens: 0,
    isVoid,
  };
}

function missedBy({ most = {} }: Row, result: RowResult): readonly string[] {
  const figures = { ...result, ...result.more } as Readonly<Record<string, unknown>>;
  return Object.entries(most).flatMap(([name, limit]) => {
    const figure = figures[name];
    return typeof figure === "number" && figure > limit ? [`${name} ${figure} > ${limit}`] : [];
  });
}

/** A moved request computes again what it generated, and a block: tokens of the engines here. */
const mostRecomputedOver = 16;

/** What a line breaks of what every row must hold, and of the row's own zeros; empty when it holds. */
export function breaches(line: FaultLine): readonly string[] {
  if ("skipped" in line) return [];
  const zeros = rows.find(({ row }) => row === line.row)?.zero ?? [];
  return [
    ...(line.isVoid === undefined ? [] : [`void: ${line.isVoid}`]),
    ...(["lost", "duplicated", "mismatched"] as const).flatMap((name) =>
      line[name] === 0 ? [] : [`${name} ${line[name]}`],
    ),
    ...((line.recomputedOverP99 ?? 0) <= mostRecomputedOver
      ? []
      : [`recomputedOverP99 ${line.recomputedOverP99}`]),
    ...zeros.flatMap((name) => ((line.more?.[name] ?? 0) === 0 ? [] : [`${name} ${line.more![name]!}`])),
  ];
}
