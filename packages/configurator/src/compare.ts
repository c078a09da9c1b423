import type { Estimate, EstimateOptions } from "./estimate.ts";
import { estimate } from "./estimate.ts";

export interface Comparison {
  readonly estimates: readonly (Estimate & { readonly name: string })[];
  /** Each estimate over the first, by figure: above 1 is more. */
  readonly againstFirst: readonly Readonly<
    Record<"ttftMs" | "tpotMs" | "tokensPerSecondPerGpu" | "tokensPerSecondPerUser", number>
  >[];
}

/** Several layouts side by side, each with a name. Throws what `estimate` throws for the first that fails. */
export function compare(layouts: Readonly<Record<string, EstimateOptions>>): Comparison {
  const estimates = Object.entries(layouts).map(([name, options]) => ({ name, ...estimate(options) }));
  const first = estimates[0];
  return {
    estimates,
    againstFirst: estimates.map((entry) => ({
      ttftMs: entry.ttftMs / (first?.ttftMs ?? 1),
      tpotMs: entry.tpotMs / (first?.tpotMs ?? 1),
      tokensPerSecondPerGpu: entry.tokensPerSecondPerGpu / (first?.tokensPerSecondPerGpu ?? 1),
      tokensPerSecondPerUser: entry.tokensPerSecondPerUser / (first?.tokensPerSecondPerUser ?? 1),
    })),
  };
}
