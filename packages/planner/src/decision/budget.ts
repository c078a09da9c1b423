import type { Profile } from "../profile/profile.ts";
import type { Limits, Workers } from "./types.ts";

/** GPUs of one worker, by role. */
export function gpusPerWorkerOf({ prefill, decode }: Profile): Workers {
  return { prefill: prefill.gpusPerWorker, decode: decode.gpusPerWorker };
}

/**
 * Fits a wish into the GPU budget, exactly: of all whole numbers that fit, those that leave the worse-off role with the
 * largest share of its wish. Minimums win over the wish; a budget below the minimums gives what the minimums cost least
 * to break: nothing at all.
 */
export function splitBudget(
  wish: Workers,
  bounds: { readonly minimum: Workers; readonly maximum: Workers },
  profile: Profile,
  limits: Limits,
): Workers {
  const gpus = gpusPerWorkerOf(profile);
  const cost = (workers: Workers): number =>
    (limits.graph === "aggregated" ? 0 : workers.prefill * gpus.prefill) + workers.decode * gpus.decode;
  if (cost(wish) <= limits.gpus) return wish;
  if (limits.graph === "aggregated") return { prefill: 0, decode: Math.floor(limits.gpus / gpus.decode) };
  if (cost(bounds.minimum) > limits.gpus) return { prefill: 0, decode: 0 };

  let best: Workers = bounds.minimum;
  let bestShare = -1;
  for (let prefill = bounds.minimum.prefill; prefill <= wish.prefill; prefill++) {
    const room = Math.floor((limits.gpus - prefill * gpus.prefill) / gpus.decode);
    if (room < bounds.minimum.decode) break;
    const decode = Math.min(wish.decode, room);
    const share = Math.min(prefill / wish.prefill, decode / wish.decode);
    if (share > bestShare) {
      bestShare = share;
      best = { prefill, decode };
    }
  }
  return best;
}
