// `npm run bench -- NAME [options] [--json]`: runs bench/NAME.ts, which exports `run(args): Promise<unknown>`.
// `npm run bench` alone lists the benches. `--save` also writes bench/results/NAME.json with machine, date and versions.
// What is measured is what is published: packages as they are built, which is done first where they changed.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import { register } from "tsx/esm/api";
import { spawnSync } from "node:child_process";
import { build } from "./build.mjs";

if (!process.execArgv.includes("--expose-gc")) {
  const again = spawnSync(process.execPath, ["--expose-gc", ...process.argv.slice(1)], { stdio: "inherit" });
  process.exit(again.status ?? 1);
}

const names = readdirSync("bench")
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));
const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  console.error(
    `${name === undefined ? "Usage: npm run bench -- NAME [options] [--json] [--save]" : `There is no bench "${name}".`}\nBenches: ${names.join(", ")}`,
  );
  process.exit(name === undefined ? 0 : 2);
}

const failed = await build();
if (failed !== 0) process.exit(failed);
register();
const { run } = await import(new URL(`../bench/${name}.ts`, import.meta.url).href);
const result = await run(args.filter((argument) => argument !== "--json" && argument !== "--save"));
console.log(JSON.stringify(result, undefined, args.includes("--json") ? undefined : 2));
if (args.includes("--save")) {
  mkdirSync("bench/results", { recursive: true });
  const machine = {
    cpu: os.cpus()[0]?.model,
    cores: os.cpus().length,
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
  };
  const record = { name, date: new Date().toISOString(), node: process.version, machine, args, result };
  writeFileSync(`bench/results/${name}.json`, `${JSON.stringify(record, undefined, 2)}\n`);
}
process.exit(0);
