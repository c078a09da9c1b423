import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readNpz, writeNpz } from "./npz.ts";

/** A Python with NumPy, such as that of a virtual environment. */
const python = process.env["STATOR_NUMPY_PYTHON"] ?? "python3";
const hasNumpy = ((): boolean => {
  try {
    execFileSync(python, ["-c", "import numpy"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();
if (!hasNumpy)
  console.log("skipped: npz files against NumPy (STATOR_NUMPY_PYTHON names a Python that has it)");

describe.skipIf(!hasNumpy)("npz files and NumPy", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "stator-npz-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const run = (code: string): string => execFileSync(python, ["-c", code], { cwd: folder, encoding: "utf8" });

  test.each(["savez", "savez_compressed"])("what numpy.%s writes is read, in every number type", (save) => {
    run(`
import numpy as np
np.${save}("theirs.npz", prefill_isl=np.array([100, 2621, 40436]), prefill_ttft=np.array([19.855, 249.305, 7371.212]),
  narrow=np.array([0.5, 1.25], dtype=np.float32), counts=np.array([7, -3], dtype=np.int32), max_kv_tokens=np.array([502272]),
  grid=np.arange(6.0).reshape(2, 3))
`);
    expect(readNpz(readFileSync(path.join(folder, "theirs.npz")))).toEqual({
      prefill_isl: [100, 2621, 40436],
      prefill_ttft: [19.855, 249.305, 7371.212],
      narrow: [0.5, 1.25],
      counts: [7, -3],
      max_kv_tokens: [502272],
      grid: [0, 1, 2, 3, 4, 5],
    });
  });

  test("NumPy reads what is written, bit for bit", () => {
    const arrays = { x_kv_usage: [0.0007, 0.583, 1 / 3], z_itl: [10.595, 54.929], none: [] };
    writeFileSync(path.join(folder, "ours.npz"), writeNpz(arrays));
    const read: unknown = JSON.parse(
      run(`
import json, numpy as np
with np.load("ours.npz") as npz: print(json.dumps({k: npz[k].tolist() for k in npz.files}))
`),
    );
    expect(read).toEqual(arrays);
  });
});
