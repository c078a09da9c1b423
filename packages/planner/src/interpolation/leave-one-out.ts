import type { Profile } from "../profile/profile.ts";
import { itlSurface } from "./itl-surface.ts";
import { monotoneCurve } from "./monotone-curve.ts";

/** How far interpolation is from points that it was not given, as mean absolute percentage error. */
export interface InterpolationError {
  readonly ttftMape: number;
  readonly itlMape: number;
}

/** Leave-one-out over the inner points of a profile; 0 where there are too few to leave one out. */
export function interpolationError(profile: Profile): InterpolationError {
  const prefill = [...profile.prefill.points].sort((a, b) => a.inputTokens - b.inputTokens);
  const ttft = prefill.slice(1, -1).map((left) => {
    const curve = monotoneCurve(
      prefill.filter((point) => point !== left).map((point) => [point.inputTokens, point.ttftMs]),
    );
    return Math.abs(curve.at(left.inputTokens).value - left.ttftMs) / left.ttftMs;
  });
  const decode = profile.decode.points;
  const itl =
    decode.length < 4
      ? []
      : decode.flatMap((left) => {
          const reading = itlSurface(decode.filter((point) => point !== left)).at(
            left.kvUsage,
            left.contextTokens,
          );
          return reading.isClamped ? [] : [Math.abs(reading.value - left.itlMs) / left.itlMs];
        });
  return { ttftMape: mean(ttft) * 100, itlMape: mean(itl) * 100 };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
