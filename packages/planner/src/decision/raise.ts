import type { Limits, Workers } from "./types.ts";

/**
 * The larger of what is there and what is wished, role by role, as far as the GPUs reach: what does not fit is left out one
 * worker at a time, from the role with more of its wish. Never less than `before`.
 */
export function raise(before: Workers, wish: Workers, gpusPerWorker: Workers, limits: Limits): Workers {
  const most: Workers = {
    prefill: Math.min(wish.prefill, limits.maximum?.prefill ?? wish.prefill),
    decode: Math.min(wish.decode, limits.maximum?.decode ?? wish.decode),
  };
  let prefill = Math.max(before.prefill, most.prefill);
  let decode = Math.max(before.decode, most.decode);
  while (
    prefill * gpusPerWorker.prefill + decode * gpusPerWorker.decode > limits.gpus &&
    (prefill > before.prefill || decode > before.decode)
  ) {
    const prefillShare = prefill > before.prefill ? prefill / wish.prefill : -1;
    const decodeShare = decode > before.decode ? decode / wish.decode : -1;
    if (prefillShare >= decodeShare) prefill -= 1;
    else decode -= 1;
  }
  return { prefill, decode };
}
