// `stator transfer store` and two workers as real processes: what one computed, the other reads from the store.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { createRequest, type TokenBatch } from "@stator/core";
import { createRuntime, fileDiscovery, type Runtime } from "@stator/runtime";
import { afterEach, expect, test, vi } from "vitest";
import { namespaceAgents } from "../transfer/list-agents.ts";
import { explainPath } from "../transfer/explain.ts";

vi.setConfig({ testTimeout: 180_000 });

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const namespace = `t-${randomUUID().slice(0, 8)}`;
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(...args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [main, ...args, "--namespace", namespace], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  closing.push(() => {
    child.kill("SIGKILL");
    return exited;
  });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += String(chunk);
      if (output.includes("is ready")) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    void exited.then(() => reject(new Error(`stator ${args[0]} ended: ${output}`)));
  });
}

async function ask(runtime: Runtime, worker: string): Promise<{ ids: number[]; cached: number }> {
  const source = runtime.workers({});
  const found = (): ReturnType<typeof source.current>[number] | undefined =>
    source.current().find((handle) => handle.worker.id === worker);
  await vi.waitFor(() => expect(found()).toBeDefined(), { timeout: 30_000 });
  const promptIds = Uint32Array.from({ length: 100 }, (_, i) => 3 + ((i * 37) % 480));
  const request = createRequest({ id: worker, model: "tiny", promptIds, limits: { maxTokens: 12 } });
  const batches: TokenBatch[] = [];
  for await (const batch of found()!.engine.generate(request, { signal: new AbortController().signal }))
    batches.push(batch);
  return { ids: batches.flatMap(({ ids }) => [...ids]), cached: batches[0]?.cachedTokens ?? 0 };
}

test("a prompt that one worker computed comes to another out of the store, and control sees it all", async () => {
  await start("transfer", "store", "--name", "kv", "--host-cache-mb", "16");
  const worker = (id: string) =>
    start(
      "worker",
      "--model",
      "tiny",
      "--id",
      id,
      "--context-tokens",
      "256",
      "--host-cache-mb",
      "0",
      "--shared-cache",
      "kv",
    );
  await Promise.all([worker("a"), worker("b")]);
  const runtime = await createRuntime({ discovery: fileDiscovery(), namespace });
  closing.push(() => runtime.close());
  const first = await ask(runtime, "a");
  expect(first.cached).toBe(0);
  await using agents = await namespaceAgents(namespace, fileDiscovery());
  // Written behind the caller's back.
  await vi.waitFor(
    async () => {
      const [report] = await agents.reports().then((all) => all.filter(({ process }) => process === "kv"));
      expect(report?.totals.reduce((sum, { transfers }) => sum + transfers, 0)).toBeGreaterThanOrEqual(6);
    },
    { timeout: 30_000 },
  );
  expect(await ask(runtime, "b")).toEqual({ ids: first.ids, cached: 96 });
  expect((await agents.reports()).map(({ process }) => process)).toEqual(["a", "b", "kv"]);
  const way = await explainPath(agents.client("a"), agents.client("b"), 65_536);
  expect(way.reports.some(({ isChosen }) => isChosen)).toBe(true);
});
