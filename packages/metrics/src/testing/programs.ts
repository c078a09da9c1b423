import { spawnSync } from "node:child_process";

/** Whether `program` can be run; without it a suite is skipped, or fails when STATOR_REQUIRE names `capability`. */
export function hasProgram(program: string, capability: string): boolean {
  const isThere = spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
  if (!isThere && (process.env["STATOR_REQUIRE"] ?? "").split(",").includes(capability)) {
    throw new Error(`STATOR_REQUIRE names ${capability}, but ${program} is missing.`);
  }
  if (!isThere) console.log(`skipped: no ${program}`);
  return isThere;
}
