// Lints the protos and writes packages/contracts/src/gen. `--check` fails if the committed code differs;
// `--breaking <git ref>` compares the protos with those of a commit.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const root = join(import.meta.dirname, "..");
const contracts = join(root, "packages/contracts");
const bin = join(root, "tools/buf/node_modules/.bin");

function run(command, args, cwd) {
  const result = spawnSync(command, args, {
    cwd,
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

if (!existsSync(join(bin, "buf")))
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], join(root, "tools/buf"));

run("buf", ["lint"], contracts);
const breaking = process.argv.indexOf("--breaking");
if (breaking > 0)
  run(
    "buf",
    [
      "breaking",
      "--against",
      `../../.git#ref=${process.argv[breaking + 1] ?? "HEAD"},subdir=packages/contracts`,
    ],
    contracts,
  );
run("buf", ["generate"], contracts);
if (process.argv.includes("--check"))
  run("git", ["diff", "--exit-code", "--stat", "--", "packages/contracts/src/gen"], root);
