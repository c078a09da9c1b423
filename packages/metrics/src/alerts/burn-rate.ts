import type { Rule, RuleGroup } from "./rules.ts";

/** Two windows that must both burn too fast, and who is told. */
interface BurnRate {
  readonly factor: number;
  readonly long: string;
  readonly short: string;
  readonly severity: "page" | "ticket";
}

/** Multi-window, multi-burn-rate alerting: The Site Reliability Workbook, chapter 5, table 5-8. */
const burnRates: readonly BurnRate[] = [
  { factor: 14.4, long: "1h", short: "5m", severity: "page" },
  { factor: 6, long: "6h", short: "30m", severity: "page" },
  { factor: 1, long: "3d", short: "6h", severity: "ticket" },
];

const windows = [...new Set(burnRates.flatMap(({ long, short }) => [short, long]))];

const titles = {
  availability: "Requests fail",
  ttft: "First tokens are late",
  itl: "Tokens are late",
  duration: "Requests take too long",
} as const;

export interface BurnRateOptions {
  readonly prefix: string;
  /** Events within the long window below which nothing is alerted: one failure of three is no outage. */
  readonly minimumEvents: Readonly<Record<keyof typeof titles, number>>;
}

/** Recording rules for the error ratio of every objective and window, and the alerts on them. */
export function burnRateGroups({ prefix, minimumEvents }: BurnRateOptions): readonly RuleGroup[] {
  const name = (window: string): string => `${prefix}:slo_errors:ratio_rate${window}`;
  const recordings = windows.map((window): Rule => ({
    record: name(window),
    expr: `1 - (sum by (model, slo) (rate(${prefix}_slo_good_total[${window}])) / sum by (model, slo) (rate(${prefix}_slo_events_total[${window}])))`,
  }));
  const alerts = Object.entries(titles).flatMap(([slo, title]) =>
    burnRates.map(({ factor, long, short, severity }): Rule => {
      const filter = `{slo="${slo}"}`;
      const budget = `${factor} * (1 - max by (model, slo) (${prefix}_slo_objective_ratio${filter}))`;
      const burns = (window: string): string => `${name(window)}${filter} > on (model, slo) (${budget})`;
      const minimum = minimumEvents[slo as keyof typeof titles];
      return {
        alert: `Stator${slo[0]?.toUpperCase()}${slo.slice(1)}Burn${severity === "page" ? "Fast" : "Slow"}${long}`,
        expr: `(${burns(long)}) and (${burns(short)}) and on (model, slo) (sum by (model, slo) (increase(${prefix}_slo_events_total${filter}[${long}])) >= ${minimum})`,
        labels: { severity },
        annotations: {
          summary: `${title}: {{ $labels.model }} burns its ${slo} error budget ${factor} times too fast`,
          description: `{{ $value | humanizePercentage }} of the events of the last ${long} (and of the last ${short}) were bad.`,
          runbook: "docs/metrics.md#when-a-burn-rate-alert-fires",
        },
      };
    }),
  );
  return [
    { name: `${prefix}-slo-recordings`, rules: recordings },
    { name: `${prefix}-slo-alerts`, rules: alerts },
  ];
}
