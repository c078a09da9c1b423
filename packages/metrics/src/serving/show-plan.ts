import type { Meter } from "@stator/core";

/** What a planner wants of one pool. */
export interface PoolPlan {
  /** Role of the pool: `prefill`, `decode` or `both`. */
  readonly pool: string;
  /** Replicas wanted. */
  readonly target: number;
  /** Replicas there are. */
  readonly current: number;
}

/** Shows plans as gauges, and counts changes of target. Its metrics exist from the first plan on. */
export function createPlanShower(meter: Meter): (plan: readonly PoolPlan[]) => void {
  const last = new Map<string, number>();
  const make = () => ({
    target: meter.gauge({
      name: "planner_target",
      unit: "replicas",
      help: "Replicas that the planner wants, by role.",
      labels: ["role"],
    }),
    current: meter.gauge({
      name: "planner_current",
      unit: "replicas",
      help: "Replicas that the planner sees, by role.",
      labels: ["role"],
    }),
    scalings: meter.counter({
      name: "planner_scalings",
      help: "Changes of a target, by role and direction.",
      labels: ["role", "direction"],
    }),
  });
  let families: ReturnType<typeof make> | undefined;
  return (plan) => {
    families ??= make();
    for (const { pool: role, target, current } of plan) {
      families.target.labels({ role }).set(target);
      families.current.labels({ role }).set(current);
      const up = families.scalings.labels({ role, direction: "up" });
      const down = families.scalings.labels({ role, direction: "down" });
      const before = last.get(role);
      if (before !== undefined && target > before) up.add();
      if (before !== undefined && target < before) down.add();
      last.set(role, target);
    }
  };
}
