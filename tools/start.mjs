// `npm start`: builds what changed, then runs `stator up` on the quickstart's layout. Arguments after `--` go to it.
import { spawn } from "node:child_process";
import { build } from "./build.mjs";

const code = await build();
if (code !== 0) process.exit(code);

const child = spawn(
  process.execPath,
  ["packages/cli/dist/main.js", "up", "examples/quickstart/layout.yaml", ...process.argv.slice(2)],
  { stdio: "inherit" },
);
// Ctrl-C reaches the whole process group; the child drains, and its end is ours.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (exitCode, signal) => process.exit(exitCode ?? (signal === "SIGINT" ? 130 : 1)));
