import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { unfinishedProfile } from "../../planner/unfinished-profile.ts";
import { readPlannerConfig } from "./config.ts";
import { exampleConfig } from "./example-config.ts";
import { loadOf, readProfile, slo } from "./flags.ts";

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), "stator-planner-inputs-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const written = (text: string): string => {
  const file = path.join(folder, "file");
  writeFileSync(file, text);
  return file;
};

test("objectives may have units; what is none is refused", () => {
  expect(slo("ttft=0.2s,itl=10ms")).toEqual({ ttftMs: 200, itlMs: 10 });
  expect(slo("ttft=200, itl=10,percentile=95")).toEqual({ ttftMs: 200, itlMs: 10, percentile: 95 });
  for (const text of ["ttft=200", "200,10", "ttft=1m,itl=3", "ttft=0,itl=3", "ttft=9,itl=3,percentile=101"])
    expect(() => slo(text)).toThrow(/such as ttft=200,itl=10/);
});

test("the configuration that help shows is one", () => {
  expect(readPlannerConfig(written(exampleConfig)).slo).toEqual({ ttftMs: 200, itlMs: 10, percentile: 90 });
});

test.each([
  ["slo: {ttftMs", /nor YAML: .* at line 1/],
  ["", /limits/],
  [exampleConfig.replace("ttftMs: 200", "ttft: 200"), /Unrecognized key: "ttft"[^]*milliseconds/],
  [exampleConfig.replace("ttftMs: 200", "ttftMs: 200ms"), /milliseconds as a plain number/],
  [exampleConfig.replace("gpus: 16", "gpus: 16\n  budget: 2"), /Unrecognized key: "budget"/],
])("a configuration that is none is refused by what is wrong in it: %#", (text, message) => {
  expect(() => readPlannerConfig(written(text))).toThrow(message);
});

test.each(["{", '{"version":1}', "[]"])(
  "a profile that is none is named, with how to make one: %s",
  (text) => {
    expect(() => readProfile(written(text))).toThrow(/file is no profile: [^]*stator profile/);
  },
);

test("traces without requests and with broken lines are refused", () => {
  expect(() => loadOf({ trace: written("\n") })).toThrow(/holds no requests/);
  expect(() => loadOf({ trace: written('{"timestamp":1}') })).toThrow(/Line 1 .*input_length/);
});

test("points measured with other settings are not gone on from", () => {
  const output = path.join(folder, "profile.json");
  const settings = { url: "http://a", outputTokens: 8, model: undefined };
  unfinishedProfile(output, settings).add("x", { inputTokens: 1, ttftMs: 2 }, "m");
  expect(unfinishedProfile(output, settings)).toMatchObject({ count: 1, model: "m" });
  expect(unfinishedProfile(output, { ...settings, url: "http://b" }).count).toBe(0);
});
