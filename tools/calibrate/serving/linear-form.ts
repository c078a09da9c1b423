/** A sum of `coefficient · term · term`, kept flat for speed. */
export interface LinearForm {
  readonly coefficients: Float64Array;
  readonly first: Int32Array;
  readonly second: Int32Array;
}

export function linearForm(
  addends: readonly (readonly [coefficient: number, first: number, second?: number])[],
): LinearForm {
  return {
    coefficients: Float64Array.from(addends, ([coefficient]) => coefficient),
    first: Int32Array.from(addends, ([, first]) => first),
    second: Int32Array.from(addends, ([, , second]) => second ?? -1),
  };
}

export function valueOf({ coefficients, first, second }: LinearForm, terms: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < coefficients.length; i++)
    sum += coefficients[i]! * terms[first[i]!]! * (second[i]! < 0 ? 1 : terms[second[i]!]!);
  return sum;
}

/** Adds `scale` times the form's derivative by each term's logarithm. */
export function addGradient(
  { coefficients, first, second }: LinearForm,
  terms: Float64Array,
  scale: number,
  gradient: Float64Array,
): void {
  for (let i = 0; i < coefficients.length; i++) {
    const a = first[i]!;
    const b = second[i]!;
    const value = scale * coefficients[i]! * terms[a]! * (b < 0 ? 1 : terms[b]!);
    gradient[a] = gradient[a]! + value;
    if (b >= 0) gradient[b] = gradient[b]! + value;
  }
}
