import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import {
  createTableTimes,
  findSystem,
  readParquetTable,
  type OperationTimes,
  type SystemSpec,
} from "@stator/simulator/performance-model";

/**
 * Kernel times of every `*_perf.parquet` below a folder, as measured on `system`.
 *
 * @throws SimulatorError `SIMULATOR_TABLE_INVALID` when there is none, or none that is understood.
 */
export async function readTables(folder: string, system: string | SystemSpec): Promise<OperationTimes> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith("_perf.parquet"));
  const tables = await Promise.all(
    names.sort().map(async (name) => {
      const { buffer, byteOffset, byteLength } = await readFile(path.join(folder, name));
      return readParquetTable(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
    }),
  );
  return createTableTimes({
    system: typeof system === "string" ? findSystem(system) : system,
    tables,
    source: `tables: ${folder}`,
  });
}
