import { Command, Option } from "commander";
import { parseLayout, type LayoutEngine, type WorkerRole } from "@stator/core";
import { count, keyValue, port, positive } from "../options.ts";
import { runWorker, type WorkerProcessOptions } from "../processes/run-worker.ts";

interface Flags {
  model: string;
  role: WorkerRole;
  engine: LayoutEngine["kind"];
  modelPath?: string;
  contextTokens?: number;
  sequences?: number;
  exact?: boolean;
  hostCacheMb?: number;
  diskCache?: string;
  diskCacheMb?: number;
  sharedCache?: string;
  stepMs?: number;
  prefillRate?: number;
  url?: string;
  kvEvents?: string;
  connector?: string;
  tokenizer?: string;
  servedModel?: string;
  vocabulary?: number;
  silentMs?: number;
  holdMs?: number;
  engineJson?: string;
  id?: string;
  namespace: string;
  discovery: string;
  label: Record<string, string>;
  host?: string;
  advertise?: string;
  metricsPort?: number;
  metricsHost?: string;
  logLevel: WorkerProcessOptions["logLevel"];
}

/** `stator worker`: one engine process of a namespace. */
export function workerCommand(): Command {
  return new Command("worker")
    .addHelpText("after", "\nSTATOR_ENGINE_KEY in the environment is the API key of the engine's server.")
    .requiredOption("--model <name>", "the name that clients say")
    .addOption(
      new Option("--role <role>", "what it does").choices(["prefill", "decode", "both"]).default("both"),
    )
    .addOption(
      new Option("--engine <kind>", "which engine")
        .choices(["llama", "simulated", "vllm", "sglang", "trtllm", "llama-server"])
        .default("llama"),
    )
    .option("--model-path <file>", "llama: a GGUF file; the bundled tiny model when absent")
    .option("--context-tokens <n>", "prompt and output of one request", positive)
    .option("--sequences <n>", "requests that run at once", positive)
    .option("--exact", "llama: settings under which the batch never changes the text")
    .option("--host-cache-mb <n>", "llama: host memory for KV blocks of earlier requests, 0 for none", count)
    .option(
      "--disk-cache <folder>",
      "llama: where KV blocks are kept that outlive the process; give --id too",
    )
    .option("--disk-cache-mb <n>", "llama: most megabytes in it", positive)
    .option("--shared-cache <name>", "llama: a `stator transfer store` that keeps KV blocks for all workers")
    .option("--step-ms <ms>", "simulated: duration of a step", count)
    .option("--prefill-rate <tokens/s>", "simulated: prompt tokens per second", positive)
    .option("--url <url>", "address of the engine's server beside this process")
    .option("--kv-events <address>", "the engine's event feed, tcp://host:port[?replay=port]")
    .option(
      "--connector <name>",
      "how the engine hands KV over: nixl, mooncake[=url], p2p-nccl=ip:port; bootstrap[=host:port]; context; slot-files=folder",
    )
    .option("--tokenizer <file>", "servers: the model's tokenizer.json or GGUF file, for text prompts")
    .option("--served-model <name>", "servers: their own name for the model; their first one when absent")
    .option(
      "--vocabulary <n>",
      "servers: ids are below it, where neither tokenizer nor server tells",
      positive,
    )
    .option("--silent-ms <ms>", "servers: silence after which a request failed there", positive)
    .option("--hold-ms <ms>", "servers: how long prefill keeps KV that no decode reads", positive)
    .addOption(new Option("--engine-json <json>", "the engine as a layout writes it").hideHelp())
    .option("--id <id>", "unique in the namespace; made up when absent")
    .option("--namespace <name>", "separates deployments", "default")
    .option("--discovery <address>", "file, redis://… or nats://…", "file")
    .option("--label <key=value>", "for policies; may be given several times", keyValue, {})
    .option("--host <address>", "interface that callers reach this worker on", "127.0.0.1")
    .option("--advertise <address>", "what callers are told; the host when absent")
    .option("--metrics-port <port>", "serve /metrics, /health and /ready there; 0 picks a port", port)
    .option("--metrics-host <address>", "interface of the metrics port", "127.0.0.1")
    .addOption(
      new Option("--log-level <level>").choices(["silent", "error", "warn", "info", "debug"]).default("warn"),
    )
    .action(async (flags: Flags) => {
      await runWorker({
        model: flags.model,
        role: flags.role,
        engine: engineOf(flags),
        namespace: flags.namespace,
        discovery: flags.discovery,
        labels: flags.label,
        logLevel: flags.logLevel,
        ...(flags.id === undefined ? {} : { id: flags.id }),
        ...(flags.host === undefined ? {} : { host: flags.host }),
        ...(flags.advertise === undefined ? {} : { advertise: flags.advertise }),
        ...(flags.metricsPort === undefined ? {} : { metricsPort: flags.metricsPort }),
        ...(flags.metricsHost === undefined ? {} : { metricsHost: flags.metricsHost }),
        onReady: ({ id, metricsPort }) =>
          process.stdout.write(
            `worker ${id} is ready${metricsPort === undefined ? "" : `, metrics on port ${metricsPort}`}\n`,
          ),
      });
      // Engines may leave native threads behind that would keep the process.
      process.exit(process.exitCode ?? 0);
    });
}

/** Checks the engine as a layout would be checked, so that flags and files fail alike. */
function engineOf(flags: Flags): LayoutEngine {
  const input: unknown =
    flags.engineJson === undefined
      ? {
          kind: flags.engine,
          modelPath: flags.modelPath,
          contextTokens: flags.contextTokens,
          sequences: flags.sequences,
          exact: flags.exact,
          hostCacheBytes: flags.hostCacheMb === undefined ? undefined : flags.hostCacheMb * 2 ** 20,
          diskCache: flags.diskCache,
          diskCacheBytes: flags.diskCacheMb === undefined ? undefined : flags.diskCacheMb * 2 ** 20,
          sharedCache: flags.sharedCache,
          stepMs: flags.stepMs,
          prefillTokensPerSecond: flags.prefillRate,
          url: flags.url,
          kvEvents: flags.kvEvents,
          connector: flags.connector,
          tokenizerPath: flags.tokenizer,
          servedModel: flags.servedModel,
          vocabulary: flags.vocabulary,
          silentMs: flags.silentMs,
          holdMs: flags.holdMs,
        }
      : JSON.parse(flags.engineJson);
  const engine = JSON.parse(JSON.stringify(input)) as unknown;
  const layout = parseLayout({
    models: { model: { pools: { pool: { role: "both", replicas: 1, engine } } } },
  });
  return layout.models["model"]!.pools["pool"]!.engine;
}
