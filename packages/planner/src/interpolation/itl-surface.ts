import type { DecodePoint } from "../profile/profile.ts";
import { monotoneCurve, type MonotoneCurve, type Reading } from "./monotone-curve.ts";

/** Time between tokens over KV usage and context length. */
export interface ItlSurface {
  /** @param kvUsage 0 to 1 @param contextTokens mean tokens a sequence holds */
  at(kvUsage: number, contextTokens: number): Reading;
  /** Largest KV usage at which the time stays within `itlMs`; undefined if it never does. */
  largestKvUsage(itlMs: number, contextTokens: number): number | undefined;
}

/**
 * One monotone curve over KV usage for each measured context; linear in between. For a given usage a longer context means
 * fewer sequences, so the direction over context is left to the data.
 */
export function itlSurface(points: readonly DecodePoint[]): ItlSurface {
  const groups = new Map<number, [number, number][]>();
  for (const { contextTokens, kvUsage, itlMs } of points) {
    const group = groups.get(contextTokens);
    if (group === undefined) groups.set(contextTokens, [[kvUsage, itlMs]]);
    else group.push([kvUsage, itlMs]);
  }
  const contexts = [...groups.keys()].sort((a, b) => a - b);
  const curves: MonotoneCurve[] = contexts.map((context) => monotoneCurve(groups.get(context)!));

  const at = (kvUsage: number, contextTokens: number): Reading => {
    const last = contexts.length - 1;
    const upper = contexts.findIndex((context) => context >= contextTokens);
    if (upper === 0 || upper === -1) {
      const edge = curves[upper === 0 ? 0 : last]!.at(kvUsage);
      const isExact = upper === 0 && contexts[0] === contextTokens;
      return { value: edge.value, isClamped: edge.isClamped || !isExact };
    }
    const a = curves[upper - 1]!.at(kvUsage);
    const b = curves[upper]!.at(kvUsage);
    const share = (contextTokens - contexts[upper - 1]!) / (contexts[upper]! - contexts[upper - 1]!);
    return { value: a.value + (b.value - a.value) * share, isClamped: a.isClamped || b.isClamped };
  };

  return {
    at,
    largestKvUsage(itlMs, contextTokens) {
      if (at(0, contextTokens).value > itlMs) return undefined;
      if (at(1, contextTokens).value <= itlMs) return 1;
      let low = 0;
      let high = 1;
      for (let i = 0; i < 50; i++) {
        const middle = (low + high) / 2;
        if (at(middle, contextTokens).value <= itlMs) low = middle;
        else high = middle;
      }
      return low;
    },
  };
}
