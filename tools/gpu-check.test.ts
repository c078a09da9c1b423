// `npm run gpu-check` as it will run on a GPU, here against the fake driver: its kernels are the real ones, compiled as plain C++.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const check = (...args: readonly string[]) =>
  spawnSync(process.execPath, ["tools/gpu-check.mjs", ...args], { cwd: root, encoding: "utf8" });
const hasAddon = existsSync(path.join(root, "packages/cuda-bindings/native/build/stator_cuda.node"));
const canRun = hasAddon && spawnSync("g++", ["--version"]).status === 0;
if (!canRun) console.log("skipped: gpu-check against a fake driver: no addon or no g++");

test.skipIf(!canRun)("says so where there is no GPU", () => {
  const { status, stdout } = check("--library", "/nowhere/libcuda.so.1");
  expect(stdout).toMatch(/^no GPU: .*nowhere/);
  expect(status).toBe(0);
});

test.skipIf(!canRun)("checks every kernel bit for bit and writes its figures", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "stator-gpu-check-"));
  try {
    const [library, out] = [path.join(folder, "libcuda.so.1"), path.join(folder, "gpu.json")];
    const source = path.join(root, "packages/cuda-bindings/test/fake/fake-cuda.cc");
    const built = spawnSync("g++", ["-shared", "-fPIC", "-O1", "-std=c++17", source, "-o", library]);
    expect(built.status).toBe(0);
    const run = check("--library", library, "--bytes", "1048576", "--rounds", "1", "--out", out);
    expect(run.stdout + run.stderr).not.toMatch(/FAIL/);
    expect(run.status).toBe(0);
    const { result } = JSON.parse(readFileSync(out, "utf8")) as {
      result: { ok: boolean; checks: unknown[]; figures: { pieceBytes: number }[] };
    };
    expect(result.ok).toBe(true);
    expect(result.checks.length).toBeGreaterThanOrEqual(10);
    expect(result.figures.map(({ pieceBytes }) => pieceBytes)).toContain(4_096);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
