import type { Filter, SelectRequest } from "./selector.ts";
import type { TargetState } from "./target-state.ts";

/** Why a target may not take a request, by the facts that every policy respects; undefined when it may. */
export function exclusionOf(target: TargetState, request: SelectRequest): string | undefined {
  if (target.isDraining) return "draining";
  if (request.avoid?.some((life) => life.worker === target.worker && life.epoch === target.epoch) === true)
    return "avoided";
  const pin = request.hints?.pin;
  if (pin !== undefined && (pin.worker !== target.worker || (pin.rank ?? target.rank) !== target.rank))
    return "not the pinned worker";
  const labels = request.hints?.requireLabels;
  if (labels !== undefined) {
    for (const [label, value] of Object.entries(labels))
      if (target.labels[label] !== value) return `label ${label} is not ${value}`;
  }
  if (request.adapter !== undefined && request.adapter !== "" && !target.adapters.includes(request.adapter)) {
    return `adapter ${request.adapter} is not loaded`;
  }
  return request.exclude?.(target.worker, target.epoch, target.rank);
}

/**
 * Workers with a label `taint:<name>` take only requests that ask for that label by `hints.requireLabels`: capacity kept
 * apart for those who name it.
 */
export function taints(): Filter {
  return (candidate, request) => {
    for (const label of Object.keys(candidate.labels)) {
      if (label.startsWith("taint:") && request.hints?.requireLabels?.[label] === undefined)
        return `not tolerated: ${label}`;
    }
    return undefined;
  };
}
