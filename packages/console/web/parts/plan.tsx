import type { PlanView, WorkerView } from "../../src/feed/views.ts";

interface Props {
  readonly plan: readonly PlanView[];
  readonly workers: readonly WorkerView[];
}

/** What the planner wants of each pool, against what there is. */
export function Plan({ plan, workers }: Props) {
  return (
    <section class="panel" aria-labelledby="plan-title">
      <h2 id="plan-title">Planner</h2>
      {plan.length === 0 ? (
        <p class="empty">
          No planner runs. {workers.filter(({ state }) => state === "ready").length} workers are ready.
        </p>
      ) : (
        <ul class="pools">
          {plan.map(({ pool, target, current, reason }) => (
            <li key={pool}>
              <span class={`role ${pool === "prefill" || pool === "decode" ? pool : "both"}`}>{pool}</span>
              <span class="blocks" aria-hidden="true">
                {Array.from({ length: Math.min(24, Math.max(target, current)) }, (_, i) => (
                  <i
                    key={i}
                    class={i < Math.min(target, current) ? "is" : i < target ? "wanted" : "surplus"}
                  />
                ))}
              </span>
              <span>
                {current} now, {target} wanted
              </span>
              {reason !== undefined && <span class="quiet">{reason}</span>}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
