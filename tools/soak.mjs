// `npm run soak -- --minutes 30 [--seed N] [--every SECONDS] [--json]`: everything at once. A random fault every 20 s on
// worker processes under load; texts are compared, and memory, handles and listeners must not grow.
import { spawnSync } from "node:child_process";
import { register } from "tsx/esm/api";

const flags = ["--conditions=@stator/source"];
if (!flags.every((flag) => process.execArgv.includes(flag))) {
  const again = spawnSync(process.execPath, [...flags, ...process.argv.slice(1)], { stdio: "inherit" });
  process.exit(again.status ?? 1);
}

const args = process.argv.slice(2);
const number = (name, fallback) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : fallback);
const isJson = args.includes("--json");
register();
const { soak } = await import(new URL("./faults/soak/soak.ts", import.meta.url).href);
const seed = number("--seed", Math.floor(Math.random() * 1e6));
if (!isJson) console.log(`seed ${seed}`);
const result = await soak({
  minutes: number("--minutes", 30),
  seed,
  everySeconds: number("--every", 20),
  onProgress: isJson ? undefined : (sample) => console.log(JSON.stringify(sample)),
});
console.log(isJson ? JSON.stringify(result) : JSON.stringify(result, undefined, 2));
const { lost, duplicated, mismatched, leaked, handlesGrown, rss } = result;
const isSound = lost + duplicated + mismatched + leaked + handlesGrown.length === 0;
process.exit(isSound && rss.verdict !== "grows" ? 0 : 1);
