import type { Candidate } from "./candidate.ts";

/** Candidates that no other beats in both speed per user and throughput per GPU, fastest for the user first. */
export function paretoFront<C extends Pick<Candidate, "tokensPerSecondPerUser" | "tokensPerSecondPerGpu">>(
  candidates: readonly C[],
): C[] {
  const front: C[] = [];
  let best = -Infinity;
  for (const candidate of [...candidates].sort(
    (a, b) =>
      b.tokensPerSecondPerUser - a.tokensPerSecondPerUser ||
      b.tokensPerSecondPerGpu - a.tokensPerSecondPerGpu,
  ))
    if (candidate.tokensPerSecondPerGpu > best) {
      front.push(candidate);
      best = candidate.tokensPerSecondPerGpu;
    }
  return front;
}
