import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { TableRow } from "./table-row.ts";

/** Rows of one `*_perf.parquet` file, from its bytes; works in Node and in the browser. */
export async function readParquetTable(bytes: ArrayBuffer): Promise<TableRow[]> {
  const rows = await parquetReadObjects({ file: bytes, compressors });
  return rows as TableRow[];
}
