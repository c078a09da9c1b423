import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseLayout } from "@stator/core";
import { expect, test } from "vitest";
import { simulateCommand } from "../commands/simulate.ts";
import { htmlReport } from "./html-report.ts";
import { runVariants, variantsOf } from "./sweep.ts";
import { answer, withSetting, type WhatIf } from "./what-if.ts";

const engine = { kind: "simulated" };
const question: WhatIf = {
  layout: parseLayout({
    models: {
      m: {
        pools: {
          prefill: { role: "prefill", replicas: 1, engine },
          decode: { role: "decode", replicas: 2, engine },
        },
      },
    },
  }),
  load: "constant,rate=4,duration=20,isl=1500,osl=40",
};

test("a setting changes what it names, in one pool or all, and nonsense lists what there is", () => {
  const pools = (key: string, value: string): unknown =>
    Object.values(withSetting(question, key, value).layout.models["m"]!.pools).map(
      ({ replicas, policy, parallelism }) => [replicas, policy?.name, parallelism?.tensor],
    );
  expect(pools("decode.replicas", "5")).toEqual([
    [1, undefined, undefined],
    [5, undefined, undefined],
  ]);
  expect(pools("policy", "round-robin")).toEqual([
    [1, "round-robin", undefined],
    [2, "round-robin", undefined],
  ]);
  expect(pools("prefill.tensor", "4")).toEqual([
    [1, undefined, 4],
    [2, undefined, undefined],
  ]);
  expect(withSetting(question, "load.rate", "9").load).toMatch(/rate=9$/);
  expect(withSetting(question, "concurrency", "9").concurrency).toBe(9);
  expect(() => withSetting(question, "colour", "red")).toThrow(/"colour".*decode\.replicas/s);
  expect(
    variantsOf(question, ["decode.replicas=1,2", "policy=random,kv-aware"]).map(({ label }) => label),
  ).toEqual([
    "decode.replicas=1 policy=random",
    "decode.replicas=1 policy=kv-aware",
    "decode.replicas=2 policy=random",
    "decode.replicas=2 policy=kv-aware",
  ]);
});

test("shared beginnings and earlier turns are found in caches", () => {
  const shared = answer({ ...question, shared: 1024, prefixGroups: 2 });
  expect(answer(question).hitRatio).toBe(0);
  expect(shared.hitRatio).toBeGreaterThan(0.5);
  expect(answer({ ...question, load: "conversations,rate=0.5,duration=60" }).hitRatio).toBeGreaterThan(0.1);
});

test("the page stands alone and shows every worker and run", async () => {
  const [one] = await runVariants([{ label: "", question }], { onProgress: () => undefined });
  const page = htmlReport([one!, { ...one!, label: "decode.replicas=<2>" }], "what if");
  for (const worker of ["prefill-0", "decode-0", "decode-1"]) expect(page).toContain(worker);
  expect(page).toContain("<svg");
  expect(page).toContain("decode.replicas=&#60;2&#62;");
  expect(page).not.toMatch(/https?:|<script|NaN|undefined/);
});

async function simulate(flags: readonly string[]): Promise<{ printed: string; folder: string }> {
  const folder = mkdtempSync(path.join(tmpdir(), "stator-"));
  const layout = path.join(folder, "layout.yaml");
  writeFileSync(layout, JSON.stringify({ models: question.layout.models }));
  const written: string[] = [];
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (text: string | Uint8Array): boolean => written.push(String(text)) > 0;
  try {
    const all = ["--layout", layout, "--load", question.load!, ...flags];
    await simulateCommand().parseAsync(all, { from: "user" });
  } finally {
    process.stdout.write = write;
  }
  return { printed: written.join(""), folder };
}

test("the command answers in JSON, with a failure at a given time and nothing lost", async () => {
  const page = path.join(mkdtempSync(path.join(tmpdir(), "stator-")), "r.html");
  const { printed } = await simulate(["--change", "10s:fail:decode-0", "--html", page, "--json"]);
  const result = JSON.parse(printed) as Record<string, unknown>;
  expect(result["completed"]).toBe(result["requests"]);
  expect(result["workers"]).toMatchObject([{}, { worker: "decode-0", end: "failed" }, {}]);
  expect(readFileSync(page, "utf8")).toContain("failed at 10 s");
});

test("with a planner's file the pools are scaled, and what it did is told", async () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "stator-")), "planner.yaml");
  writeFileSync(
    file,
    "slo: { ttftMs: 900, itlMs: 30 }\nlimits: { gpus: 6 }\nintervalSeconds: 5\nstartupSeconds: 5",
  );
  const { printed } = await simulate(["--planner", file]);
  expect(printed).toMatch(
    /planner: \d+ scale-ups?, \d+ scale-downs?, [\d.]+ GPU-hours; workers: prefill \d+ to \d+, decode/,
  );
  writeFileSync(file, "limits: { gpus: none }");
  await expect(simulate(["--planner", file])).rejects.toMatchObject({
    code: "PLANNER_OPTION_INVALID",
    message: expect.stringMatching(/planner\.yaml[\s\S]*limits\.gpus/) as string,
  });
});

const isBuilt = existsSync(new URL("../../dist/simulate/sweep-thread.js", import.meta.url));
if (!isBuilt) console.log("skipped: sweeps in threads need `npm run build`");
test.runIf(isBuilt)(
  "a sweep's threads answer as one run here does, and their errors come back by code",
  async () => {
    // The first takes longest: answers come in the order of the sweep all the same.
    const variants = variantsOf(question, ["load.duration=200,5,10"]);
    const ratios: number[] = [];
    const answers = await runVariants(variants, { onProgress: (ratio) => ratios.push(ratio), threads: 2 });
    const { outcomes: _, ...here } = answer(variants[1]!.question);
    expect(answers.map(({ label }) => label)).toEqual([
      "load.duration=200",
      "load.duration=5",
      "load.duration=10",
    ]);
    expect(answers[1]!.result).toMatchObject(here);
    expect(ratios).toEqual(ratios.toSorted((a, b) => a - b));
    expect(ratios.at(-1)).toBe(1);
    const wrong = variantsOf(question, ["blockTokens=64,100"]);
    await expect(runVariants(wrong, { onProgress: () => undefined })).rejects.toMatchObject({
      code: "SIMULATOR_RUN_INVALID",
    });
  },
);
