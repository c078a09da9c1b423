// `npm run demo`: builds what changed, then runs the tour.
import { spawn } from "node:child_process";
import { build } from "./build.mjs";

const code = await build();
if (code !== 0) process.exit(code);
const child = spawn(process.execPath, ["--import", "tsx", "examples/tour/main.ts"], { stdio: "inherit" });
child.on("exit", (exitCode) => process.exit(exitCode ?? 1));
