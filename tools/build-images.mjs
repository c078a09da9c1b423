// `node tools/build-images.mjs [frontend router worker planner] [--built]`: builds images/NAME/Containerfile with buildah and runs what it
// built as the manifests do: user 10001, no capabilities, a read-only root. A worker and a frontend must serve a completion.
// Needs root and buildah; where the base image's registry is not reached also debootstrap. Minutes, not part of `npm test`.
/* global AbortSignal */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { baseImage, buildah, has } from "./images/builder.mjs";
import { startContainer } from "./images/container.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const all = ["frontend", "router", "worker", "planner"];
const asked = process.argv.slice(2).filter((word) => word !== "--built");
const names = asked.length === 0 ? all : asked;
const unknown = names.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`There is no image ${unknown.join(", ")}; there are ${all.join(", ")}.`);
  process.exit(2);
}
if (!has("buildah") || process.getuid() !== 0) {
  console.log("skipped: images need buildah, and root");
  process.exit(process.env["STATOR_REQUIRE"]?.split(",").includes("images") ? 1 : 0);
}

const base = baseImage("docker.io/library/node:22-bookworm-slim", "localhost/stator-base:bookworm");
const tag = (name) => `localhost/stator-${name}:check`;
for (const name of process.argv.includes("--built") ? [] : names) {
  const startedMs = performance.now();
  buildah(
    [
      ...["build", "--isolation", "chroot", "--network", "host", "--layers", "--pull-never"],
      ...["--build-arg", `BASE=${base}`, "--file", `images/${name}/Containerfile`, "--tag", tag(name), "."],
    ],
    { cwd: root },
  );
  console.log(`${name}: built on ${base} in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
}

const folder = mkdtempSync(path.join(tmpdir(), "stator-images-"));
const shared = path.join(folder, "tmp");
const files = path.join(folder, "files");
for (const one of [shared, files]) mkdirSync(one);
chmodSync(folder, 0o755);
chmodSync(shared, 0o1777);
const ports = { frontend: 18_000, worker: 19_090, router: 19_100, indexer: 19_101 };
writeFileSync(
  path.join(files, "layout.yaml"),
  JSON.stringify({
    version: 1,
    models: { sim: { pools: { all: { role: "both", replicas: 1, engine: { kind: "simulated" } } } } },
    frontend: { port: ports.frontend },
    planes: { discovery: "file" },
  }),
);
writeFileSync(
  path.join(files, "router.yaml"),
  JSON.stringify({ model: "sim", listen: { rpcPort: ports.router, httpPort: ports.indexer } }),
);
const commands = {
  worker: ["worker", "--model", "sim", "--engine", "simulated", "--metrics-port", String(ports.worker)],
  frontend: ["frontend", "/etc/stator/layout.yaml", "--host", "127.0.0.1"],
  router: ["router", "--config", "/etc/stator/router.yaml"],
  planner: ["planner", "--help"],
};
const until = async (what, container, condition) => {
  for (const endMs = performance.now() + 60_000; performance.now() < endMs;) {
    if (await condition().catch(() => false)) return console.log(what);
    if (!container.isRunning) throw new Error(`the container ended before ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`no sign of "${what}" within a minute`);
};
const answers = (port, route) => async () =>
  (await fetch(`http://127.0.0.1:${port}${route}`, { signal: AbortSignal.timeout(2_000) })).ok;
const checks = {
  worker: (container) => until("worker: /health says ok", container, answers(ports.worker, "/health")),
  async frontend(container) {
    if (!names.includes("worker")) {
      await until("frontend: /live says ok", container, answers(ports.frontend, "/live"));
      return;
    }
    await until("frontend: /health says ok", container, answers(ports.frontend, "/health"));
    await until("frontend: a completion came back from the worker's image", container, async () => {
      const response = await fetch(`http://127.0.0.1:${ports.frontend}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "sim", prompt: "hello", max_tokens: 8 }),
        signal: AbortSignal.timeout(10_000),
      });
      return response.ok && (await response.json()).usage.completion_tokens === 8;
    });
  },
  router: (container) =>
    until("router: the indexer answers", container, async () => {
      const response = await fetch(`http://127.0.0.1:${ports.indexer}/`, {
        signal: AbortSignal.timeout(2_000),
      });
      return response.status > 0;
    }),
  planner: (container) =>
    until("planner: says how it is used", container, async () => /Usage/.test(container.output)),
};
const running = [];
let failure;
try {
  // The worker first: a frontend is healthy with one only.
  for (const name of all.filter((one) => names.includes(one)).sort((a, b) => b.localeCompare(a))) {
    const container = startContainer({
      image: tag(name),
      args: commands[name],
      shared,
      files,
    });
    running.push([name, container]);
    await checks[name](container);
    // That one says how it is used, and ends.
    if (name === "planner") continue;
    const [uid, capabilities] = [container.status("Uid"), container.status("CapEff")];
    if (!uid.startsWith("10001") || !/^0+$/.test(capabilities))
      throw new Error(`${name} runs as ${uid} with capabilities ${capabilities}`);
  }
} catch (error) {
  failure = error;
  for (const [name, { output }] of running) console.error(`--- ${name}\n${output}`);
} finally {
  for (const [name, container] of running.reverse()) {
    const code = await container.stop();
    console.log(`${name}: ended with ${code} after SIGTERM`);
    if (code !== 0) failure ??= new Error(`${name} ended with ${code}`);
  }
  rmSync(folder, { recursive: true, force: true });
}
if (failure !== undefined) {
  console.error(String(failure));
  process.exit(1);
}
