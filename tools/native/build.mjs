// Builds the native addons of the packages that have one: node tools/native/build.mjs [package …]. Needs cmake and a C++17 compiler.
// Without them everything still runs, more slowly; the packages say what they lack.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const require = createRequire(join(root, "package.json"));

const has = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
const compiler = [process.env.CXX, "g++", "clang++", "c++"].find(
  (name) => name !== undefined && name !== "" && has(name),
);
if (!has("cmake") || compiler === undefined) {
  console.error(
    `build:native needs cmake (found: ${has("cmake")}) and a C++17 compiler (found: ${compiler ?? "none"}). On Debian: apt-get install cmake g++.`,
  );
  process.exit(1);
}
const run = (command, args) => {
  const { status } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) process.exit(status ?? 1);
};
const nodeApi = require("node-api-headers").include_dir;
const nodeAddonApi = dirname(require.resolve("node-addon-api/napi.h"));
const wanted = process.argv.slice(2);
for (const name of readdirSync(join(root, "packages"))) {
  const source = join(root, "packages", name, "native");
  if (!existsSync(join(source, "CMakeLists.txt")) || (wanted.length > 0 && !wanted.includes(name))) continue;
  const build = join(source, "build");
  run("cmake", [
    "-S",
    source,
    "-B",
    build,
    ...(has("ninja") ? ["-G", "Ninja"] : []),
    `-DCMAKE_CXX_COMPILER=${compiler}`,
    `-DNODE_API_INCLUDE=${nodeApi}`,
    `-DNODE_ADDON_API_INCLUDE=${nodeAddonApi}`,
    "--log-level=WARNING",
  ]);
  run("cmake", ["--build", build, "--parallel", "2"]);
  console.log(`built packages/${name}/native/build`);
}
