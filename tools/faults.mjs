// `npm run faults [-- --rows 1-25] [--seeds N] [--seed N] [--profile test|ci|full] [--engine simulated|llama] [--json]`:
// the fault matrix. Worker processes under load are hurt for real; one line per row and seed says what it cost.
import { spawnSync } from "node:child_process";
import { register } from "tsx/esm/api";

const condition = "--conditions=@stator/source";
if (!process.execArgv.includes(condition)) {
  const again = spawnSync(process.execPath, [condition, ...process.argv.slice(1)], { stdio: "inherit" });
  process.exit(again.status ?? 1);
}

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const wanted = option("--rows", "1-25")
  .split(",")
  .flatMap((part) => {
    const [from, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
const isJson = args.includes("--json");
register();
const { runFaults, breaches } = await import(new URL("./faults/run-faults.ts", import.meta.url).href);
// Every line names every figure; null is what a row does not measure.
const unmeasured = { gapP50Ms: null, gapP99Ms: null, detectP99Ms: null, recoveryMs: null };
let broken = 0;
await runFaults({
  rows: wanted,
  seeds: Number(option("--seeds", "1")),
  firstSeed: Number(option("--seed", "1")),
  profile: option("--profile", "ci"),
  engine: option("--engine", "simulated"),
  onLine(line) {
    const wrong = breaches(line);
    if (wrong.length > 0) broken += 1;
    if (isJson) console.log(JSON.stringify({ ...unmeasured, ...line }));
    else {
      const { row, title, seed, failures = [], ...figures } = line;
      console.log(`${row} ${title} (seed ${seed}): ${wrong.length === 0 ? "holds" : wrong.join("; ")}`);
      console.log(`  ${JSON.stringify(figures)}`);
      for (const failure of failures) console.log(`  ${failure}`);
    }
  },
});
process.exit(broken === 0 ? 0 : 1);
