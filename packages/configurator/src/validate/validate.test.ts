import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { normalizeSplit, parseMeasuredRows } from "./measured-row.ts";
import { validate, validateRows } from "./validate.ts";

const header =
  "id,silicon_data_source,backend,backend_version,model_path,system,precision,mode,isl,osl,gemm_quant_mode,moe_quant_mode,batch_size,tp_size,pp_size,attention_dp_size,moe_tp_size,moe_ep_size,prefill_batch_size,prefill_num_workers,prefill_tp_size,prefill_pp_size,prefill_attention_dp_size,prefill_moe_tp_size,prefill_moe_ep_size,decode_batch_size,decode_num_workers,decode_tp_size,decode_pp_size,decode_attention_dp_size,decode_moe_tp_size,decode_moe_ep_size,silicon_ttft_ms,silicon_tpot_ms";
const row = (model: string, batch: string, ttft: number, tpot: number): string =>
  `x,"own, test",vllm,0.12.0,${model},h100_sxm,,agg,1024,512,,,${batch},4,1,,1,1,,,,,,,,,,,,,,,${ttft},${tpot}`;

describe("validate", () => {
  test("scores known rows and says what it skipped", () => {
    const report = validate(
      [
        header,
        row("Qwen/Qwen3-32B", "8", 126, 10.73),
        row("no/such-model", "8", 1, 1),
        row("Qwen/Qwen3-32B", "", 1, 1),
      ].join("\n"),
    );
    expect(report.overall.rows).toBe(1);
    expect(report.overall.tpotMape).toBeLessThan(30);
    expect(report.skipped).toEqual({ "unknown model no/such-model": 1, "no batch or sizes": 1 });
    expect(report.byBackend["vllm"]?.rows).toBe(1);
  });

  test("rows that say nothing usable are counted by reason, unknown columns are not read", () => {
    const report = validate(
      [
        `${header},colour`,
        `${row("Qwen/Qwen3-32B", "8", 126, 10.73)},red`,
        row("Qwen/Qwen3-32B", "8", 0, 10),
        row("Qwen/Qwen3-32B", "8", 100, 10).replace(",vllm,", ",tgi,"),
        row("Qwen/Qwen3-32B", "8", 100, 10).replace(",1024,512,", ",,,"),
        "garbage",
      ].join("\n"),
    );
    expect(report.overall.rows).toBe(1);
    expect(report.skipped).toEqual({
      "no measured TTFT and TPOT": 2,
      "unknown backend tgi": 1,
      "no input and output length": 1,
    });
  });

  test("reads neither the measured values nor the model's name for a prediction or an exclusion", () => {
    const [a, b] = [
      row("Qwen/Qwen3-32B", "2000", 100, 10),
      row("qwen3-32b-instruct", "2000", 90000, 500),
    ].map((line) => validateRows([header, line].join("\n")).rows[0]);
    expect([a?.ttftMs, a?.tpotMs, a?.excludedFor]).toEqual([b?.ttftMs, b?.tpotMs, b?.excludedFor]);
  });

  test("how requests arrived is read from its column, and from nowhere else", () => {
    const line = row("Qwen/Qwen3-32B", "32", 126, 10.73);
    const ttft = (head: string, one: string): number =>
      validateRows([head, one].join("\n")).rows[0]?.ttftMs ?? Number.NaN;
    const closed = ttft(header, line);
    expect(ttft(header, line.replace("own, test", "elsewhere/sglang/0.5.1.post1"))).toBe(closed);
    expect(ttft(`${header},arrival`, `${line},closed`)).toBe(closed);
    expect(ttft(`${header},arrival`, `${line},burst`)).toBeGreaterThan(closed);
  });

  test("never excludes more than 15 % of the rows", () => {
    const lines = Array.from({ length: 40 }, (_, index) =>
      row("Qwen/Qwen3-32B", index < 20 ? "4000" : "8", 500, 20),
    );
    const { excluded, withExcluded } = validate([header, ...lines].join("\n"));
    expect(excluded.rows).toBe(6);
    expect(withExcluded.rows).toBe(40);
  });
});

test("sizes written by different conventions mean the same machine", () => {
  const raw = { pipeline: 1, data: 1 };
  expect(normalizeSplit({ ...raw, tensor: 64, expertTensor: 8, expert: 8 }, true).split).toMatchObject({
    tensor: 8,
    data: 1,
    expert: 8,
  });
  expect(
    normalizeSplit({ ...raw, tensor: 4, data: 4, expertTensor: 1, expert: 16 }, true).split,
  ).toMatchObject({ tensor: 1, data: 4, expert: 4 });
  expect(
    normalizeSplit({ ...raw, tensor: 1, data: undefined, expertTensor: 1, expert: 8 }, true).split,
  ).toMatchObject({ tensor: 1, data: 8, expert: 8 });
  expect(normalizeSplit({ ...raw, tensor: 8, expertTensor: 8, expert: 1 }, true).split).toMatchObject({
    tensor: 8,
    expertTensor: 8,
    expert: 1,
  });
  const flags = { ...raw, tensor: 8, data: 4, expertTensor: 1, expert: 8 };
  expect(normalizeSplit(flags, true).split).toMatchObject({ tensor: 2, data: 4, expert: 8 });
});

test("quoted fields may hold commas", () => {
  expect(parseMeasuredRows([header, row("m", "1", 2, 3)].join("\n"))[0]).toMatchObject({
    source: "own, test",
    ttftMs: 2,
    tpotMs: 3,
  });
});

const measured = new URL("../../../../../shared/perf-data/measured_serving_train.csv", import.meta.url)
  .pathname;

test.skipIf(!existsSync(measured))(
  "the committed calibration holds its figures on the rows it was fitted to",
  () => {
    const { overall, excluded } = validate(readFileSync(measured, "utf8"));
    expect(overall.tpotMape).toBeLessThan(12);
    expect(overall.ttftMedian).toBeLessThan(25);
    expect(overall.ttftMape).toBeLessThan(40);
    expect(excluded.share).toBeLessThanOrEqual(15);
  },
);
