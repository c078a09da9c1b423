import type { TokenLogprob } from "@stator/core";

import type { Logits } from "./sampler.ts";

/** Log probability of the value at `chosen`, and the `top` best alternatives, under the softmax of the raw logits. */
export function logprobOf({ ids, values, count }: Logits, chosen: number, top: number): TokenLogprob {
  let maximum = -Infinity;
  for (let i = 0; i < count; i++) maximum = Math.max(maximum, values[i]!);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.exp(values[i]! - maximum);
  const normalizer = maximum + Math.log(sum);

  const best: number[] = [];
  for (let i = 0; i < count && top > 0; i++) {
    if (best.length === top && values[i]! <= values[best[top - 1]!]!) continue;
    let at = best.length === top ? top - 1 : best.length;
    while (at > 0 && values[best[at - 1]!]! < values[i]!) {
      best[at] = best[at - 1]!;
      at--;
    }
    best[at] = i;
  }
  return {
    logprob: values[chosen]! - normalizer,
    top: best.map((i) => ({ id: ids === undefined ? i : ids[i]!, logprob: values[i]! - normalizer })),
  };
}
