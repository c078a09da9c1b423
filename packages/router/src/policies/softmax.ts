/**
 * Draws an index with probability proportional to exp(-normalised cost / temperature), costs normalised to their range
 * as Dynamo does; all equal is uniform. Temperature 0 is the lowest.
 */
export function softmaxIndex(costs: readonly number[], temperature: number, draw: number): number {
  let [least, most, argLeast] = [Infinity, -Infinity, -1];
  for (let i = 0; i < costs.length; i++) {
    if (costs[i]! < least) [least, argLeast] = [costs[i]!, i];
    if (costs[i]! > most) most = costs[i]!;
  }
  if (temperature === 0 || argLeast < 0) return argLeast;
  const range = most - least || 1;
  const weights = costs.map((cost) => Math.exp(-(cost - least) / range / temperature));
  let left = draw * weights.reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i]!;
    if (left < 0) return i;
  }
  return weights.length - 1;
}
