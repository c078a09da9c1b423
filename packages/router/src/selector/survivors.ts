import type { SelectRequest } from "./selector.ts";
import type { TargetState } from "./target-state.ts";

/**
 * A request that lost its worker is not computed again while a copy is left: when candidates still hold what was computed
 * for it, all but a block, only those stay. Where none does, all stay and cost decides.
 */
export function survivorsOf(
  candidates: TargetState[],
  { computedTokens, phase }: SelectRequest,
  onLeftOut: (target: TargetState, why: string) => void,
): TargetState[] {
  // Decode computes no prompt: its KV comes by handoff, wherever it runs.
  if (computedTokens === undefined || phase === "decode") return candidates;
  const holds = ({ cachedTokens, blockTokens }: TargetState): boolean =>
    cachedTokens + blockTokens >= computedTokens;
  if (!candidates.some(holds)) return candidates;
  return candidates.filter((target) => {
    if (holds(target)) return true;
    onLeftOut(target, "another still holds what was computed");
    return false;
  });
}
