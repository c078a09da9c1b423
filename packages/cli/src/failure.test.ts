import { readFile } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { reportFailure } from "./failure.ts";

afterEach(() => void vi.restoreAllMocks());

async function failureOf(run: () => Promise<unknown>): Promise<{ code: number; said: string }> {
  let said = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  const code = await run().then(() => 0, reportFailure);
  return { code, said };
}

test("a file that cannot be read is named, with the reason and without a stack", async () => {
  expect(await failureOf(() => readFile("/no/such/measured.csv"))).toEqual({
    code: 2,
    said: "stator: /no/such/measured.csv: there is no such file\n",
  });
});

test("an unexpected failure keeps its stack", async () => {
  const { code, said } = await failureOf(() => Promise.reject(new Error("boom")));
  expect(code).toBe(1);
  expect(said).toContain("failure.test.ts");
});
