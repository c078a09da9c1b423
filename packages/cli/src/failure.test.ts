import { readFile } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { reportFailure } from "./failure.ts";
import { createProgram } from "./program.ts";

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

test.each([
  [["simulate", "--layout", "x.yaml", "--concurrency", "abc"], 2, "--concurrency"],
  [["simulate"], 2, "--layout"],
  [["planner", "replay", "--no-such-flag"], 2, "--no-such-flag"],
  [["no-such-command"], 2, "no-such-command"],
  [["simulate", "--help"], 0, ""],
])("%j ends with %i", async (args, code, said) => {
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  vi.spyOn(process, "exit").mockImplementation((given) => {
    throw new Error(`exit ${given}`);
  });
  const program = await createProgram(args);
  await expect(program.parseAsync(["node", "stator", ...args])).rejects.toThrow(`exit ${code}`);
  const text = written.mock.calls.map(([line]) => String(line)).join("");
  expect(text).toContain(said);
  if (code === 2) expect(text).toContain("--help");
});
