// Builds llama-server from the llama.cpp source that node-llama-cpp carries, for the tests against a real server.
// Takes 5 to 30 minutes; needs git, cmake, ninja and a C++ compiler. Result: node_modules/.cache/stator/llama-server
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bundle = path.join(root, "node_modules/node-llama-cpp/llama/gitRelease.bundle");
const target = path.join(root, "node_modules/.cache/stator/llama-server");
const work = mkdtempSync(path.join(tmpdir(), "llama-server-"));
const run = (file, ...args) => execFileSync(file, args, { stdio: "inherit", cwd: work });

try {
  run("git", "clone", "--quiet", bundle, "source");
  const off = [
    "BUILD_SHARED_LIBS",
    "LLAMA_CURL",
    "LLAMA_OPENSSL",
    "GGML_OPENMP",
    "LLAMA_BUILD_TESTS",
    "LLAMA_BUILD_EXAMPLES",
    "LLAMA_BUILD_UI",
    "LLAMA_USE_PREBUILT_UI",
  ].map((name) => `-D${name}=OFF`);
  run(
    "cmake",
    "-S",
    "source",
    "-B",
    "build",
    "-G",
    "Ninja",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_CXX_FLAGS=-O1",
    ...off,
  );
  run("ninja", "-C", "build", `-j${availableParallelism()}`, "llama-server");
  mkdirSync(path.dirname(target), { recursive: true });
  copyFileSync(path.join(work, "build/bin/llama-server"), target);
  console.log(target);
} finally {
  rmSync(work, { recursive: true, force: true });
}
