import type { EngineSettings } from "./engine-settings.ts";
import type { Flag } from "./flag-table.ts";

/** vLLM's `serve` flags. `--max-num-seqs` is per data-parallel rank. Source: vLLM engine arguments, 0.10 to 0.19. */
export const vllmFlags: readonly Flag<EngineSettings>[] = [
  { name: "--tensor-parallel-size", write: (s) => s.tensor },
  { name: "--pipeline-parallel-size", write: (s) => (s.pipeline > 1 ? s.pipeline : undefined) },
  { name: "--data-parallel-size", write: (s) => (s.data > 1 ? s.data : undefined) },
  { name: "--enable-expert-parallel", write: (s) => (s.expert > 1 ? true : undefined) },
  {
    name: "--all2all-backend",
    since: "0.11",
    write: (s) =>
      s.data > 8 ? (s.role === "prefill" ? "deepep_high_throughput" : "deepep_low_latency") : undefined,
  },
  { name: "--block-size", write: (s) => s.blockTokens },
  { name: "--kv-cache-dtype", write: (s) => (s.kvCache === "fp8" ? "fp8" : undefined) },
  { name: "--max-model-len", write: (s) => s.contextTokens },
  { name: "--max-num-seqs", write: (s) => s.maxSequences },
  { name: "--max-num-batched-tokens", write: (s) => s.maxStepTokens },
  { name: "--gpu-memory-utilization", write: (s) => s.memoryFraction },
  { name: "--no-enable-prefix-caching", write: (s) => (s.hasPrefixCache ? undefined : true) },
  { name: "--async-scheduling", since: "0.11", until: "0.14", write: () => true },
  { name: "--trust-remote-code", write: (s) => (s.needsRemoteCode ? true : undefined) },
  {
    name: "--kv-transfer-config",
    write: (s) =>
      s.role === "both"
        ? undefined
        : JSON.stringify({
            kv_connector: "NixlConnector",
            kv_role: "kv_both",
            kv_load_failure_policy: "fail",
          }),
  },
  // Without it usage says nothing of cached tokens.
  { name: "--enable-prompt-tokens-details", write: () => true },
  {
    name: "--kv-events-config",
    write: () =>
      JSON.stringify({
        enable_kv_cache_events: true,
        publisher: "zmq",
        endpoint: "tcp://*:5557",
        // For events that a subscriber missed.
        replay_endpoint: "tcp://*:6557",
        topic: "kv-events",
      }),
  },
];

/** Settings that a vLLM argv carries, for round trips. */
export function readVllm(flags: ReadonlyMap<string, string | true>): Partial<EngineSettings> {
  const number = (name: string, fallback: number): number => Number(flags.get(name) ?? fallback);
  const data = number("--data-parallel-size", 1);
  const tensor = number("--tensor-parallel-size", 1);
  return {
    tensor,
    pipeline: number("--pipeline-parallel-size", 1),
    data,
    expert: flags.has("--enable-expert-parallel") ? tensor * data : 1,
    maxSequences: number("--max-num-seqs", 256),
    maxStepTokens: number("--max-num-batched-tokens", 8192),
    contextTokens: number("--max-model-len", 0),
    blockTokens: number("--block-size", 16),
    kvCache: flags.get("--kv-cache-dtype") === "fp8" ? "fp8" : "auto",
    memoryFraction: number("--gpu-memory-utilization", 0.9),
    hasPrefixCache: !flags.has("--no-enable-prefix-caching"),
    needsRemoteCode: flags.has("--trust-remote-code"),
  };
}
