// Compiles packages/cuda-bindings/native/kernels/kv-kernels.cu to PTX and writes it as src/kernels/kv-kernels.ts. `--check` compares instead.
// clang needs no CUDA installation for this. The PTX's ISA is 7.0 (CUDA 11.0): every driver since the 450 line loads it; nothing above 8.4 may be written.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../packages/cuda-bindings/", import.meta.url));
const source = `${root}native/kernels/kv-kernels.cu`;
const target = `${root}src/kernels/kv-kernels.ts`;
const compiler = process.env.CLANG ?? "clang++";
const { status, stdout, stderr } = spawnSync(
  compiler,
  [
    "-x",
    "cuda",
    "--cuda-device-only",
    "-nocudainc",
    "-nocudalib",
    "-S",
    "-O3",
    "--cuda-gpu-arch=sm_70",
    "-Xclang",
    "-target-feature",
    "-Xclang",
    "+ptx70",
    "-Wno-unknown-cuda-version",
    source,
    "-o",
    "-",
  ],
  { encoding: "utf8" },
);
if (status !== 0) {
  console.error(`${compiler} could not compile the kernels: ${stderr ?? "not found; apt-get install clang"}`);
  process.exit(1);
}
const version = /\.version (\d+)\.(\d+)/.exec(stdout);
if (version === null || Number(version[1]) > 8 || (Number(version[1]) === 8 && Number(version[2]) > 4)) {
  console.error(`PTX ISA ${version?.[0] ?? "unknown"} is too new for drivers of the 550 line.`);
  process.exit(1);
}
const text = `// Generated from native/kernels/kv-kernels.cu by tools/native/ptx.mjs. Do not edit.
/** PTX of the KV kernels, ISA ${version[1]}.${version[2]}, for compute capability 7.0 and up. */
export const kvKernelsPtx: string = \`${stdout.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${")}\`;
`;
if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") === text) process.exit(0);
  console.error(
    "src/kernels/kv-kernels.ts is not what the sources compile to: run node tools/native/ptx.mjs",
  );
  process.exit(1);
}
writeFileSync(target, text);
console.log(`wrote ${target}`);
