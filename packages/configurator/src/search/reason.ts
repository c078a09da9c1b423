import type { Candidate, Limits } from "./candidate.ts";

/** Why a layout stands where it does, in a sentence or two that name the numbers. */
export function reasonFor(
  candidate: Candidate,
  all: readonly Candidate[],
  limits: Limits,
  gpus: number,
): string {
  const parts: string[] = [];
  const rival = all.find((other) => other.mode !== candidate.mode);
  const rivalName = candidate.mode === "agg" ? "disaggregated" : "aggregated";
  if (rival === undefined) parts.push(`No ${rivalName} layout meets the limits.`);
  else {
    const ratio = candidate.tokensPerSecondPerGpu / rival.tokensPerSecondPerGpu;
    parts.push(
      `${Math.abs(ratio - 1) < 0.005 ? "As much" : `${(Math.abs(ratio - 1) * 100).toFixed(0)} % ${ratio > 1 ? "more" : "less"}`} throughput ${Math.abs(ratio - 1) < 0.005 ? "as" : "than"} the best ${rivalName} layout.`,
    );
  }
  const slack = (["ttftMs", "tpotMs", "requestMs"] as const)
    .filter((key) => limits[key] !== undefined)
    .map((key) => ({ key, used: candidate[key] / (limits[key] ?? 1) }))
    .sort((a, b) => b.used - a.used)[0];
  if (slack) {
    const name =
      slack.key === "ttftMs"
        ? "time to first token"
        : slack.key === "tpotMs"
          ? "time per token"
          : "request time";
    parts.push(
      slack.used > 0.8
        ? `The ${name} limit binds (${(slack.used * 100).toFixed(0)} % of it used).`
        : `No limit binds: ${candidate.mode === "disagg" ? "prefill keeps up with no more" : "the KV cache or the batch bounds it"} (${name} at ${(slack.used * 100).toFixed(0)} %).`,
    );
  }
  if (candidate.mode === "disagg") {
    const prefill = candidate.workers.find((group) => group.role === "prefill");
    const decode = candidate.workers.find((group) => group.role === "decode");
    if (prefill && decode)
      parts.push(
        `Prefill gets ${prefill.count * prefill.gpus} and decode ${decode.count * decode.gpus} of ${gpus} GPUs, so decode steps never wait for prompts; moving KV costs ${candidate.transferMs.toFixed(1)} ms per request.`,
      );
  } else if (candidate.workers.length > 1)
    parts.push(
      `Workers of ${candidate.workers.length} kinds leave ${candidate.gpusUsed < gpus ? "fewer GPUs" : "no GPU"} idle.`,
    );
  const idle = gpus - candidate.gpusUsed;
  if (idle > 0) parts.push(`${idle === 1 ? "1 GPU stays" : `${idle} GPUs stay`} idle.`);
  return parts.join(" ");
}
