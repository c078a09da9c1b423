import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseLayout } from "@stator/core";
import { afterAll, expect, test } from "vitest";
import { runUp } from "../../test/run-up.ts";
import { runLoad } from "../load/load.ts";
import { answer, withSetting, type WhatIf } from "../simulate/what-if.ts";

const folder = mkdtempSync(path.join(tmpdir(), "stator-decisions-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("decisions of a running graph are recorded, a file per pool, and replayed under another policy", async () => {
  const up = await runUp([
    ...["--engine", "simulated", "--prefill", "0", "--decode", "2", "--record-decisions", folder],
  ]);
  expect(await runLoad({ url: up.url, requests: 24, concurrency: 6, outputTokens: 4 })).toMatchObject({
    failed: 0,
  });
  expect(await up.stop()).toBe(0);
  const files = readdirSync(folder);
  const recorded = files.find((file) => file.includes(".both."));
  expect(recorded, files.join()).toBeDefined();

  const question: WhatIf = {
    layout: parseLayout({
      models: { m: { pools: { both: { role: "both", replicas: 2, engine: { kind: "simulated" } } } } },
    }),
    decisions: path.join(folder, recorded!),
  };
  expect(answer(question)).toMatchObject({ requests: 24, completed: 24 });
  expect(answer(withSetting(question, "policy", "random"))).toMatchObject({ requests: 24, completed: 24 });
});

test("a file that holds no decisions, or other lines, says so", () => {
  const question = {
    layout: parseLayout({
      models: { m: { pools: { both: { role: "both", replicas: 1, engine: { kind: "simulated" } } } } },
    }),
  } as const;
  expect(() => answer({ ...question, decisions: import.meta.filename })).toThrow(
    /--decisions .*Line 1 is no recorded decision/,
  );
  expect(() => answer({ ...question, decisions: "/dev/null" })).toThrow(
    /a line is written when a request ends/,
  );
});
