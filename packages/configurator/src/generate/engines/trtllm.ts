import { parse, stringify } from "yaml";
import type { EngineSettings } from "./engine-settings.ts";
import type { Flag } from "./flag-table.ts";
import { compareVersions } from "./flag-table.ts";

/** `trtllm-serve` flags; the rest goes into the YAML. `{config}` is where that file lies. Source: TensorRT-LLM 1.0 to 1.3. */
export const trtllmFlags: readonly Flag<EngineSettings>[] = [
  { name: "--host", write: () => "0.0.0.0" },
  { name: "--backend", write: () => "pytorch" },
  { name: "--tp_size", write: (s) => s.tensor * s.data },
  { name: "--pp_size", write: (s) => (s.pipeline > 1 ? s.pipeline : undefined) },
  { name: "--ep_size", write: (s) => (s.expert > 1 ? s.expert : undefined) },
  { name: "--max_batch_size", write: (s) => s.maxSequences },
  { name: "--max_num_tokens", write: (s) => s.maxStepTokens },
  { name: "--max_seq_len", write: (s) => s.contextTokens },
  { name: "--kv_cache_free_gpu_memory_fraction", write: (s) => s.memoryFraction },
  { name: "--trust_remote_code", write: (s) => (s.needsRemoteCode ? true : undefined) },
  { name: "--extra_llm_api_options", until: "1.2", write: () => "{config}" },
  { name: "--config", since: "1.2", write: () => "{config}" },
];

/** The YAML that `trtllm-serve` reads, as data. */
export interface TrtllmConfig {
  readonly tensor_parallel_size: number;
  readonly pipeline_parallel_size: number;
  readonly moe_expert_parallel_size?: number;
  readonly enable_attention_dp: boolean;
  readonly enable_chunked_prefill: boolean;
  readonly max_batch_size: number;
  readonly max_num_tokens: number;
  readonly max_seq_len: number;
  readonly kv_cache_config: {
    readonly free_gpu_memory_fraction: number;
    readonly dtype: string;
    readonly tokens_per_block: number;
    readonly enable_block_reuse: boolean;
    readonly event_buffer_max_size?: number;
  };
  readonly moe_config?: {
    readonly backend: string;
    readonly load_balancer?: { readonly num_slots: number; readonly layer_updates_per_iter: number };
  };
  readonly cache_transceiver_config?: { readonly backend: string; readonly max_tokens_in_buffer: number };
  readonly cuda_graph_config?: { readonly enable_padding: boolean; readonly max_batch_size: number };
  readonly disable_overlap_scheduler: boolean;
  readonly stream_interval?: number;
}

/** The YAML's content. Prefill workers run without overlap and graphs, as the disaggregated recipes do. */
export function trtllmConfig(
  settings: EngineSettings,
  experts: { readonly count: number; readonly isBlackwell: boolean },
  version: string,
): TrtllmConfig {
  const isPrefill = settings.role === "prefill";
  const gpus = settings.tensor * settings.data;
  const isWide = settings.data > 8;
  return {
    tensor_parallel_size: gpus,
    pipeline_parallel_size: settings.pipeline,
    ...(settings.expert > 1 ? { moe_expert_parallel_size: settings.expert } : {}),
    enable_attention_dp: settings.data > 1,
    enable_chunked_prefill: settings.role !== "decode",
    max_batch_size: settings.maxSequences,
    max_num_tokens: settings.maxStepTokens,
    max_seq_len: settings.contextTokens,
    kv_cache_config: {
      free_gpu_memory_fraction: settings.memoryFraction,
      dtype: settings.kvCache,
      tokens_per_block: settings.blockTokens,
      enable_block_reuse: settings.hasPrefixCache,
      ...(compareVersions(version, "1.0") >= 0 ? { event_buffer_max_size: 1024 } : {}),
    },
    ...(experts.count > 0
      ? {
          moe_config: {
            backend: isWide
              ? "WIDEEP"
              : experts.isBlackwell && !isPrefill && settings.data === 1
                ? "TRTLLM"
                : "CUTLASS",
            // An eighth more slots than experts lets the balancer keep hot experts twice.
            ...(isWide
              ? {
                  load_balancer: {
                    num_slots: experts.count + Math.max(gpus, experts.count / 8),
                    layer_updates_per_iter: 2,
                  },
                }
              : {}),
          },
        }
      : {}),
    ...(settings.role === "both"
      ? {}
      : {
          cache_transceiver_config: {
            backend: compareVersions(version, "1.1") >= 0 ? "UCX" : "ucx",
            max_tokens_in_buffer: Math.ceil(settings.contextTokens / 1024) * 1024,
          },
        }),
    ...(isPrefill
      ? {}
      : { cuda_graph_config: { enable_padding: true, max_batch_size: settings.maxSequences } }),
    disable_overlap_scheduler: isPrefill,
    ...(isPrefill ? {} : { stream_interval: 10 }),
  };
}

export function writeTrtllmYaml(config: TrtllmConfig | Readonly<Record<string, unknown>>): string {
  return stringify(config);
}

/** Settings that the YAML carries, for round trips. */
export function readTrtllm(yaml: string): Partial<EngineSettings> {
  const config = parse(yaml) as TrtllmConfig;
  const gpus = config.tensor_parallel_size;
  const data = config.enable_attention_dp ? gpus : 1;
  return {
    tensor: gpus / data,
    pipeline: config.pipeline_parallel_size,
    data,
    expert: config.moe_expert_parallel_size ?? 1,
    maxSequences: config.max_batch_size,
    maxStepTokens: config.max_num_tokens,
    contextTokens: config.max_seq_len,
    blockTokens: config.kv_cache_config.tokens_per_block,
    kvCache: config.kv_cache_config.dtype === "fp8" ? "fp8" : "auto",
    memoryFraction: config.kv_cache_config.free_gpu_memory_fraction,
    hasPrefixCache: config.kv_cache_config.enable_block_reuse,
  };
}
