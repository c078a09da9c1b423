import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { containersOf, gather, podsOf } from "./manifests.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const main = path.join(here, "../../packages/cli/dist/main.js");
const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;
if (!hasRedis) {
  if (process.env["STATOR_REQUIRE"]?.split(",").includes("servers"))
    throw new Error("redis-server is required");
  console.log("skipped: redis-server is not installed");
}

const children: ChildProcess[] = [];
const folder = mkdtempSync(path.join(tmpdir(), "stator-pods-"));

afterAll(async () => {
  for (const child of children.reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    await gone;
  }
  rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function start(command: string, args: readonly string[], ready: RegExp): Promise<string[]> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let output = "";
  return new Promise((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += String(chunk);
      const found = ready.exec(output);
      if (found !== null) resolve([...found]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", (code) => reject(new Error(`${command} ended with ${code}:\n${output}`)));
  });
}

describe.skipIf(!hasRedis)("the laptop's pods, as processes around a real Redis", () => {
  test("register by the addresses they are told, are ready, and answer through the frontend", async () => {
    const port = await freePort();
    const redis = `redis://127.0.0.1:${port}`;
    await start(
      "redis-server",
      ["--port", String(port), "--save", "", "--bind", "127.0.0.1"],
      /Ready to accept connections/,
    );
    const manifests = gather(path.join(here, "tiny-llamacpp-laptop/kubernetes/base"));
    const argsOf = (image: string): string[][] =>
      manifests.flatMap(podsOf).flatMap(({ template, pods }) =>
        containersOf(template)
          .filter((container) => container.image.includes(image))
          .flatMap((container) => Array.from({ length: pods }, () => [...(container.args ?? [])])),
      );
    const layout = path.join(folder, "layout.yaml");
    const config = manifests.find(({ data }) => data?.["kubernetes-layout.yaml"] !== undefined);
    writeFileSync(
      layout,
      config?.data?.["kubernetes-layout.yaml"]?.replace("redis://redis:6379", redis) ?? "",
    );

    const workers = argsOf("stator-worker");
    expect(workers).toHaveLength(3);
    const metrics = await Promise.all(
      workers.map(async (args, index) => {
        const told = args.map((word) =>
          word
            .replace("$(POD_NAME)", `pod-${index}`)
            .replace("$(POD_IP)", "127.0.0.1")
            .replace("redis://redis:6379", redis)
            .replace(/^9090$/, "0"),
        );
        const [, metricsPort] = await start(process.execPath, [main, ...told], /metrics on port (\d+)/);
        return `http://127.0.0.1:${metricsPort}`;
      }),
    );
    for (const url of metrics)
      for (const probe of ["/ready", "/health", "/metrics"])
        expect((await fetch(url + probe)).status, probe).toBe(200);

    const [args = []] = argsOf("stator-frontend");
    const told = args.map((word) => word.replace("/etc/stator/kubernetes-layout.yaml", layout));
    const [, url] = await start(
      process.execPath,
      [main, ...told, "--port", "0"],
      /listening on (http:\/\/\S+)/,
    );
    const frontend = `http://127.0.0.1:${new URL(url ?? "").port}`;
    expect((await fetch(`${frontend}/live`)).status).toBe(200);
    const deadline = AbortSignal.timeout(20_000);
    while ((await fetch(`${frontend}/health`)).status !== 200) deadline.throwIfAborted();
    const answer = await fetch(`${frontend}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "tiny",
        max_tokens: 8,
        ignore_eos: true,
        messages: [{ role: "user", content: "What does a stator do? ".repeat(30) }],
      }),
    });
    expect(answer.status, await answer.clone().text()).toBe(200);
    expect(await answer.json()).toMatchObject({ usage: { completion_tokens: 8 } });
  });
});
