// check:packed: packs every package, installs each tarball alone (with its sisters' tarballs as overrides) in an empty
// folder, imports every door with plain Node, and checks the manifests with publint and attw; then makes, installs and runs a
// project of `stator init`.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { checkInitProject } from "./init-project.mjs";

const work = mkdtempSync(path.join(tmpdir(), "stator-packed-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

function run(command, args, cwd) {
  const result = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, npm_config_loglevel: "error" },
  });
  if (result.status !== 0) {
    console.error(`${command} ${args.join(" ")} failed in ${cwd}\n${result.stdout}\n${result.stderr}`);
    process.exit(1);
  }
  return result.stdout;
}

const packages = readdirSync("packages")
  .map((name) => path.resolve("packages", name))
  .filter((folder) => existsSync(path.join(folder, "dist")) && existsSync(path.join(folder, "README.md")))
  .map((folder) => ({
    folder,
    manifest: JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")),
  }));

const tarballs = {};
for (const { folder, manifest } of packages) {
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", work], folder));
  tarballs[manifest.name] = `file:${path.join(work, packed.filename)}`;
}

for (const { folder, manifest } of packages) {
  run(path.resolve("node_modules/.bin/publint"), ["--strict", folder], ".");
  // An executable's own door would run it.
  const executables = new Set(Object.values(manifest.bin ?? {}));
  const doors = Object.keys(manifest.exports).filter(
    (door) => door !== "./package.json" && !executables.has(manifest.exports[door].default),
  );
  const home = path.join(work, manifest.name.replace("/", "-"));
  mkdirSync(home);
  writeFileSync(
    path.join(home, "package.json"),
    JSON.stringify({
      private: true,
      type: "module",
      dependencies: { [manifest.name]: tarballs[manifest.name] },
      overrides: tarballs,
    }),
  );
  run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"], home);
  const peers = Object.keys(manifest.peerDependencies ?? {});
  const lines = doors.map((door) => {
    const specifier = manifest.name + door.slice(1);
    return `await import(${JSON.stringify(specifier)}).catch((error) => {
      const missing = ${JSON.stringify(peers)}.some((peer) => String(error.message).includes(peer));
      if (missing && ${JSON.stringify(door)} !== ".") console.log("needs its peer: ${specifier}");
      else { console.error(${JSON.stringify(specifier)}, error); process.exit(1); }
    });`;
  });
  run(process.execPath, ["--input-type=module", "-e", lines.join("\n")], home);
  console.log(`${manifest.name}: ${doors.length} doors open from its tarball`);
}
await checkInitProject({ home: path.join(work, "stator"), work, tarballs, run });
