// `npm run oracle [-- --json] [--every N] [--offset N]`: the identity oracle. A stream that lost its worker at any of 64
// indexes, in any of 5 ways, is compared with the undisturbed one: text, finish, usage, log probabilities. Virtual time.
import { spawnSync } from "node:child_process";
import { register } from "tsx/esm/api";

const condition = "--conditions=@stator/source";
if (!process.execArgv.includes(condition)) {
  const again = spawnSync(process.execPath, [condition, ...process.argv.slice(1)], { stdio: "inherit" });
  process.exit(again.status ?? 1);
}

const args = process.argv.slice(2);
const number = (name, fallback) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : fallback);
const isJson = args.includes("--json");
register();
const { runOracle } = await import(new URL("./oracle/run-oracle.ts", import.meta.url).href);
const result = await runOracle({
  every: number("--every", 1),
  offset: number("--offset", 0),
  onProgress: isJson
    ? undefined
    : (done, of) => done % 64 === 0 && process.stderr.write(`\r${done} of ${of} cells`),
});
if (isJson) console.log(JSON.stringify(result));
else console.log(`\n${JSON.stringify(result, undefined, 2)}`);
process.exit(
  result.identical === result.cells && result.caught === result.planted && result.unconfirmed === 0 ? 0 : 1,
);
