import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Medians of a request over TCP of this host in plain C, microseconds: what no transport over it can be faster than. */
export interface LoopbackLimit {
  readonly bytes: number;
  readonly getSleepingUs: number;
  readonly getSpinningUs: number;
  readonly putSleepingUs: number;
  readonly putSpinningUs: number;
}

/** Builds and runs `loopback-ping.cc`; nothing where there is no compiler. */
export function measureLoopbackLimit(sizes: readonly number[]): readonly LoopbackLimit[] {
  const folder = mkdtempSync(join(tmpdir(), "stator-loopback-"));
  try {
    const program = join(folder, "ping");
    const source = fileURLToPath(new URL("loopback-ping.cc", import.meta.url));
    if (spawnSync("g++", ["-O2", "-std=c++17", "-pthread", source, "-o", program]).status !== 0) return [];
    return sizes.flatMap((bytes) => {
      const { status, stdout } = spawnSync(program, [String(bytes), "1000"], { encoding: "utf8" });
      return status === 0 ? [JSON.parse(stdout) as LoopbackLimit] : [];
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
