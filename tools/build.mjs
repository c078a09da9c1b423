// Builds every package that changed: TypeScript by project references, browser apps by Nx (cached).
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name) => `${root}node_modules/.bin/${name}`;

function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NX_DAEMON: "false" },
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => resolve({ code: 1, output: String(error) }));
    child.on("exit", (code) => resolve({ code: code ?? 1, output }));
  });
}

/** @returns the exit code of the first step that failed, or 0 */
export async function build() {
  const started = performance.now();
  const isTerminal = process.stderr.isTTY === true;
  const steps = [
    ["packages", bin("tsc"), ["-b"]],
    ["browser apps", bin("nx"), ["run-many", "-t", "bundle", "--outputStyle=static"]],
  ];
  for (const [index, [name, command, args]] of steps.entries()) {
    if (isTerminal) process.stderr.write(`\r\x1b[Kbuilding ${name} (${index + 1}/${steps.length}) …`);
    const { code, output } = await run(command, args);
    if (code !== 0) {
      process.stderr.write(`\nbuilding ${name} failed:\n${output}\n`);
      return code;
    }
  }
  if (isTerminal) process.stderr.write(`\r\x1b[K`);
  process.stderr.write(`built in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(await build());
