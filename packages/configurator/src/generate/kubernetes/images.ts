import type { BackendName } from "@stator/simulator/performance-model";

/** Public images of the engines, by release. */
export const engineImages: Readonly<Record<BackendName, (version: string) => string>> = {
  vllm: (version) => `vllm/vllm-openai:v${version}${isShort(version) ? ".0" : ""}`,
  sglang: (version) => `lmsysorg/sglang:v${version}`,
  trtllm: (version) => `nvcr.io/nvidia/tensorrt-llm/release:${version}${isShort(version) ? ".0" : ""}`,
};

/** Stator's own images; each is built by `images/<name>/Containerfile`. */
export function statorImage(component: "frontend" | "router" | "worker" | "planner"): string {
  return `ghcr.io/stator-dev/stator-${component}:0.1`;
}

function isShort(version: string): boolean {
  return version.split(".").length === 2;
}
