import type { GenerateRequest, ModelCard, StatorError } from "@stator/core";

import { routerError, type RouterErrorCode } from "../errors/router-error.ts";
import { missingToResume } from "./resume-rules.ts";

/** What decides whether a request that lost its worker may go to another one. */
export interface Standing {
  readonly request: GenerateRequest;
  /** Index of the next output token. */
  readonly next: number;
  readonly card: ModelCard | undefined;
  /** Its tokens were within the memory cap when it came. */
  readonly isMigratable: boolean;
  /** Attempts that count, and those that do not. */
  readonly counted: number;
  readonly free: number;
  readonly attempts: number;
}

/** Free attempts end too: a fleet that only refuses is no fleet. */
const mostFreeAttempts = 16;

/** The honest end of a request that must not go on elsewhere; undefined when it may. */
export function refusalToMove(standing: Standing, lost: StatorError | undefined): StatorError | undefined {
  const { request, next, card, isMigratable, counted, free, attempts } = standing;
  const refuse = (code: RouterErrorCode, why: string, data: object = {}): StatorError =>
    routerError(
      code,
      `Request ${request.id} lost its worker after output token ${next}${why}`,
      { ...lost?.data, ...data },
      lost,
    );
  if (!isMigratable)
    return refuse("ROUTER_NOT_MIGRATABLE", " and was not tracked: maxTrackedTokens was reached.");
  if (request.hints?.pin !== undefined && next > 0)
    return refuse("ROUTER_NOT_MIGRATABLE", " and is pinned to it.");
  const missing = card === undefined || next === 0 ? undefined : missingToResume(request, card);
  if (missing !== undefined) {
    return refuse(
      "ROUTER_RESUME_UNSUPPORTED",
      `; the engine cannot resume it: it does not carry over ${missing}.`,
      { missing },
    );
  }
  if (counted < attempts && free < mostFreeAttempts) return undefined;
  return refuse(
    "ROUTER_ATTEMPTS_EXHAUSTED",
    ` and had failed on ${counted} workers: ${lost?.message ?? "its stream was cut"}`,
  );
}
