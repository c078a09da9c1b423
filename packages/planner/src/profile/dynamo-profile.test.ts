import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { profileFromDynamo, profileToDynamo } from "./dynamo-profile.ts";
import { readNpz } from "./npz.ts";
import type { Profile } from "./profile.ts";

const profile: Profile = {
  version: 1,
  source: "Dynamo's profiler",
  prefill: { gpusPerWorker: 1, points: [100, 2621].map((n) => ({ inputTokens: n, ttftMs: 10 + n / 11 })) },
  decode: {
    gpusPerWorker: 1,
    maxKvTokens: 502_272,
    points: [0.0007, 0.583].map((kvUsage) => ({ kvUsage, contextTokens: 350, itlMs: 10 + kvUsage * 76 })),
  },
};

test("a profile written with Dynamo's keys is read back the same", () => {
  expect(profileFromDynamo(profileToDynamo(profile))).toEqual(profile);
  expect(() => readNpz(new Uint8Array(100))).toThrow(/no zip archive/);
});

const hasNumpy = spawnSync("python3", ["-c", "import numpy"]).status === 0;
if (!hasNumpy) process.stdout.write("skipped: numpy reads and writes our npz (no numpy)\n");
test.skipIf(!hasNumpy)("numpy reads what we write, and we read what numpy writes, compressed too", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "stator-npz-"));
  try {
    const file = path.join(folder, "ours.npz");
    writeFileSync(file, profileToDynamo(profile).prefill);
    const code = `import numpy as np; a = np.load(${JSON.stringify(file)}); print(list(a["prefill_isl"])); np.savez_compressed(${JSON.stringify(path.join(folder, "theirs.npz"))}, x=np.array([[1, 2], [3, 4]]), y=np.array([0.5], dtype=np.float32))`;
    expect(execFileSync("python3", ["-c", code], { encoding: "utf8" })).toMatch(/100\.0.*2621\.0/);
    expect(readNpz(readFileSync(path.join(folder, "theirs.npz")))).toEqual({ x: [1, 2, 3, 4], y: [0.5] });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
