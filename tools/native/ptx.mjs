// Compiles packages/cuda-bindings/native/kernels to PTX and writes it as src/kernels/kv-kernels.ts; `--check` compares instead.
//
// The compiler is NVRTC: `pip download nvidia-cuda-nvrtc-cu12==12.4.127` and STATOR_NVRTC=…/libnvrtc.so.12, or the one of an installed CUDA. The
// PTX is written for compute capability 7.0 and its header rewritten to ISA 7.0, so that every driver since the 450 line loads it; `ptxas`
// (STATOR_PTXAS or PATH), where there is one, then proves that it needs no more. Without a compiler `--check` still notices changed sources.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const isa = "7.0";
const root = fileURLToPath(new URL("../../packages/cuda-bindings/", import.meta.url));
const kernels = join(root, "native/kernels");
const target = join(root, "src/kernels/kv-kernels.ts");
const isCheck = process.argv.includes("--check");

const sources = readdirSync(kernels).sort();
const digest = createHash("sha256");
for (const name of sources) digest.update(name).update(readFileSync(join(kernels, name)));
const stamp = digest.digest("hex").slice(0, 16);

const nvrtc = [
  process.env.STATOR_NVRTC,
  "/usr/local/cuda/lib64/libnvrtc.so",
  "/usr/local/cuda/lib64/libnvrtc.so.12",
].find((path) => path !== undefined && path !== "" && existsSync(path));
const committed = existsSync(target) ? readFileSync(target, "utf8") : "";

if (nvrtc === undefined) {
  if (isCheck && committed.includes(`sources ${stamp}`)) {
    console.log(
      "skipped: compiling the kernels again: no NVRTC (set STATOR_NVRTC); their sources are those of the committed PTX",
    );
    process.exit(0);
  }
  console.error(
    isCheck
      ? "The kernels' sources changed and the committed PTX did not: run node tools/native/ptx.mjs with STATOR_NVRTC set."
      : "No NVRTC: set STATOR_NVRTC to a libnvrtc.so.12 (pip download nvidia-cuda-nvrtc-cu12==12.4.127).",
  );
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), "stator-ptx-"));
try {
  const { version, ptx } = compile();
  prove(ptx);
  const text = `// Generated from native/kernels by tools/native/ptx.mjs with NVRTC ${version}, sources ${stamp}. Do not edit.
/** PTX of the KV kernels, ISA ${isa}, for compute capability 7.0 and up. */
export const kvKernelsPtx: string = \`${ptx.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${")}\`;
`;
  if (!isCheck) {
    writeFileSync(target, text);
    console.log(`wrote ${target}`);
  } else if (committed !== text) {
    const by = /with NVRTC (\S+),/.exec(committed)?.[1];
    if (by !== version && committed.includes(`sources ${stamp}`))
      console.log(`skipped: comparing PTX: NVRTC is ${version}, the committed one was made by ${by}`);
    else {
      console.error(
        "src/kernels/kv-kernels.ts is not what the sources compile to: run node tools/native/ptx.mjs",
      );
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

function run(command, args, environment = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, ...environment },
    maxBuffer: 2 ** 26,
  });
  if (status === 0) return stdout;
  console.error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  process.exit(1);
}

/** PTX under our header, and what compiled it. */
function compile() {
  const compiler = join(folder, "nvrtc-compile");
  run("g++", [
    "-O1",
    "-std=c++17",
    fileURLToPath(new URL("nvrtc-compile.cc", import.meta.url)),
    "-o",
    compiler,
    "-ldl",
  ]);
  const output = run(compiler, [nvrtc, join(kernels, "kv-kernels.cu"), kernels, "compute_70"], {
    LD_LIBRARY_PATH: dirname(nvrtc),
  });
  const end = output.indexOf("\n");
  // Its first lines name the build of the compiler; the ISA is set to the oldest that has all that the kernels use.
  const ptx = output
    .slice(end + 1)
    .replace(/^(\/\/.*\n)+/, "")
    .replace(/^\.version .*$/m, `.version ${isa}`);
  return { version: output.slice(0, end), ptx: ptx.trim() + "\n" };
}

/** Assembles the PTX for each generation of GPUs. */
function prove(ptx) {
  const ptxas = process.env.STATOR_PTXAS ?? "ptxas";
  if (spawnSync(ptxas, ["--version"]).status !== 0) {
    console.log("skipped: assembling the PTX: no ptxas (pip download nvidia-cuda-nvcc-cu12, STATOR_PTXAS)");
    return;
  }
  const file = join(folder, "kernels.ptx");
  writeFileSync(file, ptx);
  for (const architecture of ["sm_70", "sm_80", "sm_90"])
    run(ptxas, [`-arch=${architecture}`, file, "-o", join(folder, "kernels.cubin")]);
}
