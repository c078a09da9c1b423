/**
 * Costs of variants compared window by window: each round runs every variant twice, in a drawn order and then in that order
 * backwards, so that what drifts meets all of them alike; and each is held against another one of the same round.
 */
import { seededRandom } from "@stator/simulator/workload";

/** `costs[variant][round]`: the mean of the round's two windows, in whatever `measure` returns. */
export async function interleaved(
  variants: number,
  rounds: number,
  seed: number,
  measure: (variant: number) => Promise<number>,
): Promise<readonly (readonly number[])[]> {
  const random = seededRandom(seed);
  const costs = Array.from({ length: variants }, (): number[] => []);
  for (let round = 0; round < rounds; round++) {
    const order = shuffled(variants, random);
    const sums = new Array<number>(variants).fill(0);
    for (const variant of [...order, ...order.toReversed()])
      sums[variant] = (sums[variant] as number) + (await measure(variant));
    sums.forEach((sum, variant) => costs[variant]?.push(sum / 2));
  }
  return costs;
}

export interface Surplus {
  /** How much more it costs than the other, in percent: of the medians over rounds. */
  readonly percent: number;
  /** Where that lies with 95 % confidence: bootstrap over rounds, of both together. */
  readonly interval: readonly [low: number, high: number];
}

/** What `own` costs more than `other`, measured in the same rounds. */
export function surplus(own: readonly number[], other: readonly number[], seed: number): Surplus {
  const random = seededRandom(seed);
  const percent = (rounds: readonly number[]): number =>
    100 *
    (median(rounds.map((round) => own[round] as number)) /
      median(rounds.map((round) => other[round] as number)) -
      1);
  const all = own.map((_, round) => round);
  const again = Array.from({ length: 2_000 }, () =>
    percent(all.map(() => Math.floor(random() * all.length))),
  ).sort((a, b) => a - b);
  const rounded = (value: number): number => Number(value.toFixed(2));
  return {
    percent: rounded(percent(all)),
    interval: [rounded(again[50] as number), rounded(again[1_949] as number)],
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? high)) / 2;
}

function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}
