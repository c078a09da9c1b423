import type { Limits, Slo, Workers } from "../decision/types.ts";
import { PlannerError } from "../planner-error.ts";

/**
 * Objectives and limits that can be kept together.
 *
 * @throws PlannerError `PLANNER_OPTION_INVALID` with everything that is wrong.
 */
export function checkTargets(slo: Slo, limits: Limits, gpusPerWorker: Workers): void {
  const wrong: string[] = [];
  const say = (isRight: boolean, text: string): void => void (isRight || wrong.push(text));
  say(slo.ttftMs > 0 && Number.isFinite(slo.ttftMs), `slo.ttftMs (${slo.ttftMs}) must be above 0`);
  say(slo.itlMs > 0 && Number.isFinite(slo.itlMs), `slo.itlMs (${slo.itlMs}) must be above 0`);
  const { percentile = 90 } = slo;
  say(percentile >= 50 && percentile <= 99.9, `slo.percentile (${percentile}) must be 50 to 99.9`);
  say(
    Number.isInteger(limits.gpus) && limits.gpus > 0,
    `limits.gpus (${limits.gpus}) must be whole and above 0`,
  );
  const { minimum, maximum } = limits;
  for (const role of ["prefill", "decode"] as const) {
    for (const [name, bound] of [
      ["minimum", minimum],
      ["maximum", maximum],
    ] as const)
      say(
        bound === undefined || (Number.isInteger(bound[role]) && bound[role] >= 0),
        `limits.${name}.${role} (${bound?.[role]}) must be whole and not negative`,
      );
    if (minimum !== undefined && maximum !== undefined)
      say(minimum[role] <= maximum[role], `limits.minimum.${role} is above limits.maximum.${role}`);
  }
  const least = minimum ?? { prefill: 1, decode: 1 };
  const needed =
    (limits.graph === "aggregated" ? 0 : least.prefill * gpusPerWorker.prefill) +
    least.decode * gpusPerWorker.decode;
  say(
    needed <= limits.gpus,
    `${minimum === undefined ? "one worker of each role" : "limits.minimum"} needs ${needed} GPUs of limits.gpus (${limits.gpus})`,
  );
  if (wrong.length > 0)
    throw new PlannerError({
      code: "PLANNER_OPTION_INVALID",
      kind: "invalid",
      message: `Objectives and limits cannot be used: ${wrong.join("; ")}.`,
    });
}
