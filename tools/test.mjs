// `npm test`: builds, runs every suite, and ends with one line `N passed, N failed, N skipped` over all of them.
// Arguments after `--` go to vitest.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "./build.mjs";

const buildCode = await build();
if (buildCode !== 0) {
  console.log("0 passed, 1 failed, 0 skipped");
  process.exit(buildCode);
}

const folder = mkdtempSync(path.join(tmpdir(), "stator-test-"));
const report = path.join(folder, "report.json");
const arguments_ = [
  "run",
  "--reporter=dot",
  "--reporter=json",
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
];
const code = await new Promise((resolve) => {
  const child = spawn("node_modules/.bin/vitest", arguments_, { stdio: "inherit" });
  child.on("error", () => resolve(1));
  child.on("exit", (exitCode) => resolve(exitCode ?? 1));
});

let counts;
try {
  const result = JSON.parse(readFileSync(report, "utf8"));
  // A file that does not even load holds no test: count it as one failure, so that nothing fails silently.
  const unloaded = result.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  );
  for (const file of result.testResults) {
    for (const test of file.assertionResults)
      if (test.status === "failed") console.log(`FAILED ${path.relative(".", file.name)}: ${test.fullName}`);
  }
  for (const file of unloaded) console.log(`FAILED ${path.relative(".", file.name)}: ${file.message}`);
  counts = {
    passed: result.numPassedTests,
    failed: result.numFailedTests + unloaded.length,
    skipped: result.numPendingTests + result.numTodoTests,
  };
} catch {
  counts = { passed: 0, failed: 1, skipped: 0 };
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const failed = code === 0 ? counts.failed : Math.max(1, counts.failed);
console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped`);
process.exit(failed === 0 ? 0 : 1);
