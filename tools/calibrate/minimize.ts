// Nelder-Mead on the logarithms of positive parameters: few parameters, any loss, no derivatives.
export function minimize(
  loss: (values: readonly number[]) => number,
  start: readonly number[],
  rounds: number = 400,
  spread: number = 0.25,
): { values: number[]; loss: number } {
  const f = (logs: readonly number[]): number => loss(logs.map(Math.exp));
  const origin = start.map(Math.log);
  let simplex = [
    origin,
    ...origin.map((_, at) => origin.map((value, other) => (other === at ? value + spread : value))),
  ].map((point) => ({ point, value: f(point) }));
  const n = origin.length;
  for (let round = 0; round < rounds; round++) {
    simplex.sort((a, b) => a.value - b.value);
    const worst = simplex[n]!;
    const centre = origin.map(
      (_, axis) => simplex.slice(0, n).reduce((sum, { point }) => sum + point[axis]!, 0) / n,
    );
    const at = (factor: number): { point: number[]; value: number } => {
      const point = centre.map((value, axis) => value + factor * (value - worst.point[axis]!));
      return { point, value: f(point) };
    };
    const reflected = at(1);
    if (reflected.value < simplex[0]!.value) {
      const expanded = at(2);
      simplex[n] = expanded.value < reflected.value ? expanded : reflected;
    } else if (reflected.value < simplex[n - 1]!.value) simplex[n] = reflected;
    else {
      const contracted = at(-0.5);
      if (contracted.value < worst.value) simplex[n] = contracted;
      else {
        const best = simplex[0]!;
        simplex = simplex.map((corner, index) => {
          if (index === 0) return corner;
          const point = corner.point.map(
            (value, axis) => best.point[axis]! + 0.5 * (value - best.point[axis]!),
          );
          return { point, value: f(point) };
        });
      }
    }
  }
  simplex.sort((a, b) => a.value - b.value);
  return { values: simplex[0]!.point.map(Math.exp), loss: simplex[0]!.value };
}

/** Median and mean of absolute relative errors, in per cent. */
export function errors(pairs: readonly (readonly [predicted: number, measured: number])[]): {
  mape: number;
  median: number;
} {
  const all = pairs
    .map(([predicted, measured]) => Math.abs(predicted / measured - 1) * 100)
    .sort((a, b) => a - b);
  return {
    mape: all.reduce((sum, value) => sum + value, 0) / all.length,
    median: all[Math.floor(all.length / 2)] ?? 0,
  };
}
