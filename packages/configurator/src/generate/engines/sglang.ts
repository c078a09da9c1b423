import type { EngineSettings } from "./engine-settings.ts";
import type { Flag } from "./flag-table.ts";

/**
 * SGLang's `launch_server` flags. `--tp-size` counts all GPUs of the worker; with `--enable-dp-attention` attention tensor
 * parallelism is `tp / dp`, and `--max-running-requests` counts the whole worker. Source: SGLang server arguments, 0.5.
 */
export const sglangFlags: readonly Flag<EngineSettings>[] = [
  { name: "--host", write: () => "0.0.0.0" },
  { name: "--tp-size", write: (s) => s.tensor * s.data },
  { name: "--pp-size", write: (s) => (s.pipeline > 1 ? s.pipeline : undefined) },
  { name: "--dp-size", write: (s) => (s.data > 1 ? s.data : undefined) },
  { name: "--enable-dp-attention", write: (s) => (s.data > 1 ? true : undefined) },
  { name: "--ep-size", write: (s) => (s.expert > 1 ? s.expert : undefined) },
  { name: "--moe-a2a-backend", since: "0.5", write: (s) => (s.data > 8 ? "deepep" : undefined) },
  {
    name: "--deepep-mode",
    write: (s) => (s.data > 8 ? (s.role === "prefill" ? "normal" : "low_latency") : undefined),
  },
  { name: "--page-size", write: (s) => s.blockTokens },
  { name: "--kv-cache-dtype", write: (s) => (s.kvCache === "fp8" ? "fp8_e4m3" : undefined) },
  { name: "--mem-fraction-static", write: (s) => s.memoryFraction },
  { name: "--context-length", write: (s) => s.contextTokens },
  { name: "--max-running-requests", write: (s) => s.maxSequences * s.data },
  { name: "--chunked-prefill-size", write: (s) => s.maxStepTokens },
  { name: "--cuda-graph-max-bs", write: (s) => (s.role === "prefill" ? undefined : s.maxSequences) },
  { name: "--disable-radix-cache", write: (s) => (s.hasPrefixCache ? undefined : true) },
  { name: "--trust-remote-code", write: (s) => (s.needsRemoteCode ? true : undefined) },
  { name: "--disaggregation-mode", write: (s) => (s.role === "both" ? undefined : s.role) },
  { name: "--disaggregation-transfer-backend", write: (s) => (s.role === "both" ? undefined : "nixl") },
  { name: "--disaggregation-bootstrap-port", write: (s) => (s.role === "prefill" ? 8998 : undefined) },
  {
    name: "--kv-events-config",
    write: () =>
      JSON.stringify({
        publisher: "zmq",
        endpoint: "tcp://*:5557",
        // For events that a subscriber missed.
        replay_endpoint: "tcp://*:6557",
        topic: "kv-events",
      }),
  },
];

/** Settings that an SGLang argv carries, for round trips. */
export function readSglang(flags: ReadonlyMap<string, string | true>): Partial<EngineSettings> {
  const number = (name: string, fallback: number): number => Number(flags.get(name) ?? fallback);
  const data = number("--dp-size", 1);
  const mode = flags.get("--disaggregation-mode");
  return {
    role: mode === "prefill" || mode === "decode" ? mode : "both",
    tensor: number("--tp-size", 1) / data,
    pipeline: number("--pp-size", 1),
    data,
    expert: number("--ep-size", 1),
    maxSequences: number("--max-running-requests", 0) / data,
    maxStepTokens: number("--chunked-prefill-size", 8192),
    contextTokens: number("--context-length", 0),
    blockTokens: number("--page-size", 1),
    kvCache: flags.get("--kv-cache-dtype") === "fp8_e4m3" ? "fp8" : "auto",
    memoryFraction: number("--mem-fraction-static", 0.9),
    hasPrefixCache: !flags.has("--disable-radix-cache"),
    needsRemoteCode: flags.has("--trust-remote-code"),
  };
}
