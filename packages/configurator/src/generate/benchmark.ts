import type { Candidate } from "../search/candidate.ts";
import type { Target, WorkloadOptions } from "../target.ts";

/** A load test around the predicted operating point: half, at and twice its concurrency, ten requests for each in flight. */
export function benchmarkScript(candidate: Candidate, target: Target, workload: WorkloadOptions): string {
  const at = Math.max(1, Math.round(candidate.concurrency));
  const levels = [...new Set([1, Math.max(1, Math.round(at / 2)), at, at * 2])];
  return `#!/bin/sh
# Predicted at ${at} requests in flight: TTFT ${candidate.ttftMs.toFixed(0)} ms, TPOT ${candidate.tpotMs.toFixed(2)} ms, ${(candidate.requestsPerSecond * workload.outputTokens).toFixed(0)} output tokens/s
set -eu
url=\${1:-http://127.0.0.1:8000}
for concurrency in ${levels.join(" ")}; do
  stator load --url "$url" --model ${target.model.name} \\
    --input ${workload.inputTokens} --output ${workload.outputTokens}${workload.prefixTokens ? ` --shared ${workload.prefixTokens}` : ""} \\
    --concurrency "$concurrency" --requests "$((concurrency * 10))" --json > "benchmark-$concurrency.json"
done
`;
}
