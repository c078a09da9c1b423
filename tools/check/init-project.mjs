// Part of check:packed: a project made by the packed `stator init`, installed from tarballs, type-checked, tested and run.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/**
 * Makes a project with the executable that is installed in `home`, and uses it as its owner would.
 *
 * @param {{ home: string, work: string, tarballs: Record<string, string>, run: (command: string, args: string[], cwd: string) => string }} options
 */
export async function checkInitProject({ home, work, tarballs, run }) {
  const project = path.join(work, "my-project");
  run("npx", ["--no-install", "stator", "init", project], home);
  const manifestPath = path.join(project, "package.json");
  const manifest = JSON.parse(readFileSync(manifestPath, "utf8"));
  // Until a version is published its tarballs stand for it; the root installs no GPU binaries either.
  for (const group of ["dependencies", "devDependencies"])
    for (const name of Object.keys(manifest[group]))
      manifest[group][name] = tarballs[name] ?? manifest[group][name];
  manifest.overrides = { ...tarballs, ...rootOverrides() };
  writeFileSync(manifestPath, JSON.stringify(manifest, undefined, 2));
  run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"], project);
  run("npm", ["run", "-s", "check"], project);
  run("npm", ["test"], project);
  console.log(
    `a project of stator init: installed, type-checked, tested, ${await served(project, manifest)}`,
  );
}

/** Starts it as `npm start` does, asks it something, and ends it as Ctrl-C does. */
async function served(project, manifest) {
  const [name, ...args] = manifest.scripts.start.split(" ");
  const child = spawn(path.join(project, "node_modules/.bin", name), [...args, "--port", "0"], {
    cwd: project,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  let output = "";
  const url = await new Promise((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      output += chunk;
      const found = /listening on (http:\/\/\S+)/.exec(output);
      if (found !== null) resolve(found[1]);
    });
    void exited.then((code) => reject(new Error(`${manifest.scripts.start} ended with ${code}:\n${output}`)));
  });
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "tiny",
      max_tokens: 16,
      ignore_eos: true,
      messages: [{ role: "user", content: "Hello, project!" }],
    }),
  });
  const { usage } = await response.json();
  child.kill("SIGINT");
  const code = await exited;
  if (usage?.completion_tokens !== 16 || code !== 0)
    throw new Error(
      `The project answered ${response.status} with ${usage?.completion_tokens} tokens and ended with ${code}.`,
    );
  return "answered, and ended with 0";
}

/** What the repository leaves out of an installation: other platforms' binaries. */
function rootOverrides() {
  const { overrides = {} } = JSON.parse(readFileSync("package.json", "utf8"));
  return Object.fromEntries(
    Object.entries(overrides).map(([name, value]) => [
      name,
      typeof value === "string" && value.startsWith("file:") ? `file:${path.resolve(value.slice(5))}` : value,
    ]),
  );
}
