import { expect, test } from "vitest";
import { filesOf, resolveTarget, search } from "./index.ts";

test("the README's question is answered with a layout, a reason and files", () => {
  const question = {
    model: "Qwen/Qwen3-32B",
    system: "h200",
    backend: "vllm",
    gpus: 16,
    inputTokens: 8192,
    outputTokens: 1024,
  } as const;
  const { layouts, disaggregationGain } = search({ ...question, ttftMs: 2000, tpotMs: 25 });
  const [best] = layouts;
  expect(best?.reason).toMatch(/throughput/);
  expect(disaggregationGain).toBeGreaterThan(0.5);
  const files = best ? filesOf(best, resolveTarget(question), question) : [];
  expect(files.map((file) => file.name)).toEqual(
    expect.arrayContaining(["layout.yaml", "graph.ts", "kubernetes.yaml", "benchmark.sh"]),
  );
});
