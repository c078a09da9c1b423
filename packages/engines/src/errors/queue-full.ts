import { EnginesError } from "./engines-error.ts";

/** The refusal of a request that would have to wait behind `maxWaiting` others. */
export function queueFull(maxWaiting: number): EnginesError {
  return new EnginesError({
    code: "ENGINES_QUEUE_FULL",
    kind: "overloaded",
    message: `${maxWaiting} requests wait already.`,
    data: { waiting: maxWaiting },
  });
}
