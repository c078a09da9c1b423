import { coefficientsFor } from "../systems/coefficients-for.ts";
import type { OperationShape } from "../operations/operation.ts";
import { simulatorError } from "../../simulator-error.ts";
import { rooflineMs } from "../operations/roofline.ts";
import type { OperationTimes } from "../step-time.ts";
import type { SystemSpec } from "../systems/system-spec.ts";
import type { TableRow } from "./table-row.ts";
import { measuredOperation } from "./table-row.ts";

export interface TableTimesOptions {
  /** The system that the tables were measured on; others are not answered. */
  readonly system: SystemSpec;
  /** Rows in AIConfigurator's columns, of any number of tables. Later tables win where points coincide. */
  readonly tables: readonly (readonly TableRow[])[];
  /** How reports name these tables. Default `tables`. */
  readonly source?: string;
}

/** One grid of measurements: a kernel family at fixed types and sizes, its remaining sizes as axes. */
interface Grid {
  readonly axes: number[][];
  readonly points: Map<string, number>;
}

/**
 * Kernel times from measured tables. Between points, what is interpolated (linearly over the logarithms of the sizes) is
 * the ratio of measured time to the roofline, so that the physics carries the shape and the table the level; outside the
 * grid the nearest ratio is held. Shapes of an unmeasured family are left to the roofline.
 *
 * @throws SimulatorError `SIMULATOR_TABLE_INVALID` when no row of any table is understood.
 */
export function createTableTimes(options: TableTimesOptions): OperationTimes {
  const { system, tables, source = "tables" } = options;
  const coefficients = coefficientsFor(system);
  const grids = new Map<string, Grid>();
  for (const table of tables)
    for (const row of table) {
      const measured = measuredOperation(row);
      if (measured === undefined) continue;
      const { family, sizes } = coordinates(measured.shape);
      let grid = grids.get(family);
      if (!grid) grids.set(family, (grid = { axes: sizes.map(() => []), points: new Map() }));
      sizes.forEach((size, axis) => grid.axes[axis]?.push(size));
      grid.points.set(sizes.join(), Math.log(measured.ms / rooflineMs(measured.shape, system, coefficients)));
    }
  if (grids.size === 0)
    throw simulatorError(
      "SIMULATOR_TABLE_INVALID",
      "No row of the given tables has the columns of a known kernel; pass rows of AIConfigurator's *_perf.parquet files",
      { tables: tables.length },
    );
  for (const grid of grids.values())
    grid.axes.forEach((values, axis) => (grid.axes[axis] = [...new Set(values)].sort((a, b) => a - b)));

  return {
    source,
    lookup(shape, asked) {
      if (asked.name !== system.name) return undefined;
      const { family, sizes } = coordinates(shape);
      const grid = grids.get(family);
      const ratio = grid && interpolate(grid, sizes);
      return ratio === undefined ? undefined : Math.exp(ratio) * rooflineMs(shape, system, coefficients);
    },
  };
}

function interpolate(grid: Grid, sizes: readonly number[]): number | undefined {
  const brackets = sizes.map((size, axis) => bracket(grid.axes[axis] ?? [], size));
  let sum = 0;
  let weights = 0;
  for (let corner = 0; corner < 1 << sizes.length; corner++) {
    let weight = 1;
    const at: number[] = [];
    for (const [axis, { low, high, share }] of brackets.entries()) {
      const isHigh = (corner >> axis) & 1;
      weight *= isHigh ? share : 1 - share;
      at.push(isHigh ? high : low);
    }
    if (weight === 0) continue;
    const value = grid.points.get(at.join());
    if (value === undefined) continue;
    sum += weight * value;
    weights += weight;
  }
  return weights > 0.02 ? sum / weights : undefined;
}

function bracket(values: readonly number[], size: number): { low: number; high: number; share: number } {
  const first = values[0] ?? size;
  const last = values.at(-1) ?? size;
  if (size <= first) return { low: first, high: first, share: 0 };
  if (size >= last) return { low: last, high: last, share: 0 };
  let from = 0;
  let to = values.length - 1;
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if ((values[middle] ?? 0) <= size) from = middle;
    else to = middle;
  }
  const low = values[from] ?? size;
  const high = values[to] ?? size;
  return { low, high, share: Math.log(size / low) / Math.log(high / low) };
}

function coordinates(shape: OperationShape): { family: string; sizes: number[] } {
  switch (shape.kind) {
    case "matrix":
      return { family: `matrix ${shape.format}`, sizes: [shape.rows, shape.columns, shape.inner] };
    case "headMatrix":
      return { family: `headMatrix ${shape.inner}`, sizes: [shape.rows, shape.heads] };
    case "prefillAttention":
      // Tables hold whole prompts; a chunk behind a prefix runs at the efficiency of the whole.
      return {
        family: `prefill ${shape.isLatent} ${shape.format} ${shape.kvCache} ${shape.headDim} ${shape.windowTokens}`,
        sizes: shape.isLatent
          ? [shape.heads, shape.sequences, shape.newTokens + shape.pastTokens]
          : [shape.heads / shape.kvHeads, shape.heads, shape.sequences, shape.newTokens + shape.pastTokens],
      };
    case "decodeAttention":
      return {
        family: `decode ${shape.kvCache} ${shape.headDim} ${shape.windowTokens}`,
        sizes: [shape.heads / shape.kvHeads, shape.heads, shape.sequences, shape.contextTokens],
      };
    case "decodeLatent":
      return {
        family: `decodeLatent ${shape.kvCache}`,
        sizes: [shape.heads, shape.sequences, shape.contextTokens],
      };
    case "experts":
      return {
        family: `experts ${shape.format} ${shape.hidden} ${shape.intermediate} ${shape.experts} ${shape.expertsPerToken}`,
        sizes: [shape.tokens, shape.expertTensor, shape.expert],
      };
    case "collective":
      return { family: shape.collective, sizes: [shape.gpus, shape.bytes] };
    case "elementwise":
      // A line of several small kernels is asked for at the size of one.
      return { family: "elementwise", sizes: [shape.bytes / shape.kernels] };
    default:
      return { family: "none", sizes: [] };
  }
}
