import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { findModel } from "../models/find-model.ts";
import { parallelism } from "../split/parallelism.ts";
import { namedQuantization } from "../split/quantization.ts";
import { readParquetTable } from "./read-table.ts";
import { stepBreakdown, stepTime } from "../step-time.ts";
import { findSystem } from "../systems/system-spec.ts";
import { createTableTimes } from "./table-times.ts";

const system = findSystem("h200");
const row = { op_name: "gemm", gemm_dtype: "bfloat16", m: 64, n: 4096n, k: 4096n, latency: 0.05 };

describe("createTableTimes", () => {
  const times = createTableTimes({
    system,
    tables: [[row, { ...row, m: 256, latency: 0.2 }]],
    source: "mine",
  });
  const shape = { kind: "matrix", rows: 64, columns: 4096, inner: 4096, format: "bf16" } as const;

  test("returns measured points verbatim and something between them in between", () => {
    expect(times.lookup(shape, system)).toBeCloseTo(0.05, 9);
    const between = times.lookup({ ...shape, rows: 128 }, system) ?? 0;
    expect(between).toBeGreaterThan(0.05);
    expect(between).toBeLessThan(0.2);
  });

  test("answers neither other systems nor kernels without rows, and the breakdown says who did", () => {
    expect(times.lookup(shape, findSystem("h100"))).toBeUndefined();
    expect(times.lookup({ ...shape, format: "fp8" }, system)).toBeUndefined();
    const model = findModel("Qwen/Qwen3-8B");
    const { operations } = stepBreakdown({
      model,
      system,
      quantization: namedQuantization("bf16", model, system),
      parallelism: parallelism(),
      batch: { decode: { sequences: 64, contextTokens: 500 } },
      times,
    });
    expect(new Set(operations.map((operation) => operation.source))).toEqual(new Set(["mine", "roofline"]));
  });

  test("refuses rows of no known table", () => {
    expect(() => createTableTimes({ system, tables: [[{ colour: "red", latency: 1 }]] })).toThrow(
      /AIConfigurator/,
    );
  });
});

const root = new URL("../../../../../../shared/perf-data/h200_sxm/", import.meta.url).pathname;

describe.skipIf(!existsSync(root))("with the H200 tables at hand", () => {
  const table = async (name: string): Promise<ReturnType<typeof readParquetTable>> => {
    const bytes = readFileSync(`${root}${name}_perf.parquet`);
    return readParquetTable(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
    );
  };

  test("static batching of Qwen3-32B agrees with the published table-based estimate within 3 %", async () => {
    const names = [
      "gemm/trtllm/1.3.0rc10/gemm",
      "attention/trtllm/1.3.0rc10/context_attention",
      "attention/trtllm/1.3.0rc10/generation_attention",
      "comm/trtllm/1.3.0rc10/custom_allreduce",
    ];
    const times = createTableTimes({ system, tables: await Promise.all(names.map(table)) });
    const model = findModel("Qwen/Qwen3-32B");
    const base = {
      model,
      system,
      quantization: namedQuantization("bf16", model, system),
      parallelism: parallelism({ tensor: 4 }),
      times,
    };
    const prefill = stepTime({
      ...base,
      batch: { prefill: [{ sequences: 32, newTokens: 4096, pastTokens: 0 }] },
    });
    const decode = stepTime({ ...base, batch: { decode: { sequences: 32, contextTokens: 4096 + 512 } } });
    expect(Math.abs(prefill / 3900.357 - 1)).toBeLessThan(0.03);
    expect(Math.abs(decode / 10.97 - 1)).toBeLessThan(0.03);
  });
});
