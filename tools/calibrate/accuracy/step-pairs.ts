// Single engine steps on eight GPUs, TP8, one sequence: prefill of 1,024 tokens and decode at 1,025, in milliseconds as
// AIConfigurator's test fixtures publish them (sums of measured kernels, vLLM 0.19 to 0.22).
import {
  findModel,
  findSystem,
  namedQuantization,
  parallelism,
  stepTime,
} from "@stator/simulator/performance-model";

const steps = [
  ["qwen3-32b", "b200", "bf16", 17.068, 4.253],
  ["llama-3.1-70b", "b200", "bf16", 28.6, 6.7],
  ["llama-3.1-8b", "b200", "bf16", 6.004, 1.939],
  ["qwen3-235b-a22b", "b200", "bf16", 44.436, 7.587],
  ["deepseek-v3", "b200", "fp8-block", 81.828, 12.813],
  ["minimax-m2.5", "h100", "auto", 35.148, 6.741],
  ["minimax-m2.5", "h200", "auto", 32.565, 6.436],
  ["kimi-k2.5", "h100", "auto", 207.2, 14.374],
  ["kimi-k2.5", "h200", "auto", 203.535, 13.882],
  ["qwen3-32b", "h200", "bf16", 26.224, 4.757],
] as const;

/** Lines of a table: kernels alone, and the step as our fit to deployments says vLLM takes it. */
export function stepPairLines(): string[] {
  return steps.flatMap(([name, on, format, context, generation]) => {
    const model = findModel(name);
    const system = findSystem(on);
    const at = {
      model,
      system,
      quantization: namedQuantization(format, model, system),
      parallelism: parallelism({ tensor: 8 }),
    };
    const line = (
      what: string,
      published: number,
      batch: Parameters<typeof stepTime>[0]["batch"],
    ): string => {
      const cells = [stepTime({ ...at, batch }), stepTime({ ...at, batch, backend: "vllm" as const })]
        .map((ms) => `${ms.toFixed(2)} | ${((ms / published - 1) * 100).toFixed(0)}`)
        .join(" | ");
      return `| ${name}, ${on}, ${what} | ${published} | ${cells} |`;
    };
    return [
      line("prefill", context, { prefill: [{ sequences: 1, newTokens: 1024, pastTokens: 0 }] }),
      line("decode", generation, { decode: { sequences: 1, contextTokens: 1025 } }),
    ];
  });
}
