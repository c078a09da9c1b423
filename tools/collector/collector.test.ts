import { spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  createTableTimes,
  findSystem,
  measuredOperation,
  readParquetTable,
} from "@stator/simulator/performance-model";
import type { TableRow } from "@stator/simulator/performance-model";
import { afterAll, describe, expect, test } from "vitest";

const here = import.meta.dirname;
const folder = mkdtempSync(path.join(tmpdir(), "collector-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function python(program: string, ...args: string[]): SpawnSyncReturns<string> {
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  return spawnSync(program, args, { cwd: here, encoding: "utf8", env });
}
const pythonWith = (code: string): string | undefined =>
  ["python3", "/usr/bin/python3"].find((program) => python(program, "-c", code).status === 0);
const plain = pythonWith("");
const withTorch = pythonWith("import torch");
if (plain === undefined) console.log("skipped: the collector's table writer (no python3)");
if (withTorch === undefined) console.log("skipped: the collector itself (no PyTorch)");

async function read(file: string): Promise<TableRow[]> {
  const bytes = readFileSync(file);
  return readParquetTable(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
  );
}

async function readTables(root: string): Promise<Map<string, TableRow[]>> {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".parquet"),
  );
  return new Map(
    await Promise.all(
      files.map(
        async (name) => [path.basename(name, "_perf.parquet"), await read(path.join(root, name))] as const,
      ),
    ),
  );
}

const names = ["context_attention", "gemm", "generation_attention", "memory_copy", "small_operations"];

function expectTables(tables: Map<string, TableRow[]>): void {
  expect([...tables.keys()].sort()).toEqual(names);
  for (const [name, rows] of tables) {
    expect(rows.length, name).toBeGreaterThan(1);
    for (const row of rows)
      expect(row, name).toMatchObject({ framework: "torch", latency: expect.any(Number) });
  }
  const shapes = (name: string): unknown[] =>
    (tables.get(name) ?? []).map((row) => measuredOperation(row)?.shape.kind);
  expect(new Set(shapes("gemm"))).toEqual(new Set(["matrix"]));
  expect(new Set(shapes("context_attention"))).toEqual(new Set(["prefillAttention"]));
  expect(new Set(shapes("generation_attention"))).toEqual(new Set(["decodeAttention"]));
  expect(new Set(shapes("small_operations"))).toEqual(new Set(["elementwise"]));
}

describe("the collector's tables", () => {
  test("a committed sample is read, and answers for the kernels it holds", async () => {
    const tables = await readTables(path.join(here, "sample"));
    expectTables(tables);
    const system = findSystem("h100");
    const times = createTableTimes({ system, tables: [...tables.values()], source: "sample" });
    for (const name of ["gemm", "context_attention", "generation_attention"]) {
      const measured = measuredOperation(tables.get(name)?.[0] ?? {});
      expect(measured && times.lookup(measured.shape, system)).toBeCloseTo(measured?.ms ?? Number.NaN, 9);
    }
    expect(times.lookup({ kind: "elementwise", bytes: 4096, kernels: 2 }, system)).toBeGreaterThan(0);
  });

  test.skipIf(plain === undefined)(
    "the writer's integers, floats and text come back as they were",
    async () => {
      const file = path.join(folder, "values.parquet");
      const program = `
from pathlib import Path
from parquet import write_table
write_table(Path(${JSON.stringify(file)}), [{"n": i * 2**33 - 5, "x": i / 7, "s": "Zähler %d" % i} for i in range(300)])`;
      const { status, stderr } = python(plain ?? "", "-c", program);
      expect(stderr).toBe("");
      expect(status).toBe(0);
      expect(await read(file)).toEqual(
        Array.from({ length: 300 }, (_, i) => ({
          n: BigInt(i) * 2n ** 33n - 5n,
          x: i / 7,
          s: `Zähler ${i}`,
        })),
      );
    },
  );

  test.skipIf(withTorch === undefined)("a dry run on the CPU writes every table", async () => {
    const out = path.join(folder, "tables");
    const { status, stderr } = python(
      withTorch ?? "",
      "collect.py",
      "--out",
      out,
      "--device",
      "cpu",
      "--tiny",
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expectTables(await readTables(out));
    expect(JSON.parse(readFileSync(path.join(out, "machine.json"), "utf8"))).toMatchObject({ isTiny: true });
  });
});
