// `npm run gpu-check`: runs everything that needs a GPU and writes bench/results/gpu-NAME.json. Needs only this tree, node_modules and the built addon.
//
//   npm run gpu-check [-- --library /path/libcuda.so.1] [--bytes 1073741824] [--rounds 20] [--out FILE]
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const condition = "--conditions=@stator/source";
if (!process.execArgv.includes(condition)) {
  process.exit(
    spawnSync(process.execPath, ["--expose-gc", condition, ...process.argv.slice(1)], {
      stdio: "inherit",
      cwd: root,
    }).status ?? 1,
  );
}
const { values } = parseArgs({
  options: {
    library: { type: "string" },
    bytes: { type: "string" },
    rounds: { type: "string" },
    out: { type: "string" },
  },
});
if (!existsSync(`${root}packages/cuda-bindings/native/build/stator_cuda.node`))
  spawnSync(process.execPath, ["tools/native/build.mjs", "cuda-bindings"], { stdio: "inherit", cwd: root });

const { register } = await import("tsx/esm/api");
register();
const { checkGpu } = await import("../bench/gpu.ts");
const startedMs = performance.now();
const report = await checkGpu({
  ...(values.library === undefined ? {} : { library: values.library }),
  ...(values.bytes === undefined ? {} : { bytes: Number(values.bytes) }),
  ...(values.rounds === undefined ? {} : { rounds: Number(values.rounds) }),
});
if ("skipped" in report) {
  console.log(`no GPU: ${report.skipped}`);
  process.exit((process.env.STATOR_REQUIRE ?? "").split(",").includes("gpu") ? 1 : 0);
}
for (const { name, ok, detail } of report.checks)
  console.log(`${ok ? "ok  " : "FAIL"}  ${name}${detail === undefined ? "" : `: ${detail}`}`);
for (const { name, pieceBytes, gigabytesPerSecond, ratio, aim, reached } of report.figures)
  console.log(
    `${reached ? "ok  " : "MISS"}  ${name}, ${pieceBytes} B pieces: ${gigabytesPerSecond} GB/s, ${ratio} of one copy (aim ${aim})`,
  );
const name = report.device.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
const file = values.out ?? `${root}bench/results/gpu-${name}.json`;
mkdirSync(dirname(file), { recursive: true });
const record = {
  name: "gpu",
  date: new Date().toISOString(),
  node: process.version,
  seconds: Math.round((performance.now() - startedMs) / 1000),
  result: report,
};
writeFileSync(file, `${JSON.stringify(record, undefined, 2)}\n`);
console.log(`wrote ${file}`);
process.exit(report.ok ? 0 : 1);
