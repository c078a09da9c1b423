import type { Meter } from "@stator/core";
import type { Workers } from "../decision/types.ts";
import type { PlannerDecision } from "./create-planner.ts";

interface PlannerMetrics {
  decided(decision: PlannerDecision, ready: Workers): void;
  failed(): void;
}

/** The planner's own metrics, `stator_planner_*`. */
export function createPlannerMetrics(meter: Meter): PlannerMetrics {
  const target = meter.gauge({
    name: "planner_target",
    unit: "replicas",
    help: "Replicas that the planner wants, by role.",
    labels: ["role"],
  });
  const current = meter.gauge({
    name: "planner_current",
    unit: "replicas",
    help: "Replicas that the planner sees, by role.",
    labels: ["role"],
  });
  const scalings = meter.counter({
    name: "planner_scalings",
    help: "Changes of a target, by role and direction.",
    labels: ["role", "direction"],
  });
  const rate = meter
    .gauge({ name: "planner_forecast_rate", help: "Requests per second that are planned for." })
    .labels({});
  const ttft = meter
    .gauge({
      name: "planner_predicted_ttft",
      unit: "seconds",
      help: "Predicted TTFT at the SLO's percentile.",
    })
    .labels({});
  const itl = meter
    .gauge({ name: "planner_predicted_itl", unit: "seconds", help: "Predicted ITL at the SLO's percentile." })
    .labels({});
  const headroom = meter
    .gauge({
      name: "planner_headroom",
      unit: "ratio",
      help: "Load that would still fit over the load forecast.",
    })
    .labels({});
  const failures = meter.counter({ name: "planner_failures", help: "Rounds that failed." }).labels({});
  return {
    decided({ before, target: wanted, forecast, plan }, ready) {
      for (const role of ["prefill", "decode"] as const) {
        target.labels({ role }).set(wanted[role]);
        current.labels({ role }).set(ready[role]);
        if (wanted[role] > before[role]) scalings.labels({ role, direction: "up" }).add();
        if (wanted[role] < before[role]) scalings.labels({ role, direction: "down" }).add();
      }
      rate.set(forecast.requestsPerSecond);
      if (Number.isFinite(plan.predictedTtftMs)) ttft.set(plan.predictedTtftMs / 1000);
      if (Number.isFinite(plan.predictedItlMs)) itl.set(plan.predictedItlMs / 1000);
      headroom.set(plan.headroom);
    },
    failed: () => failures.add(),
  };
}
