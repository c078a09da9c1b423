import { writeFile } from "node:fs/promises";
import { burnRateGroups, type BurnRateOptions } from "./burn-rate.ts";
import { causeGroup } from "./cause-alerts.ts";
import { type RuleGroup, rulesYaml } from "./rules.ts";

export interface AlertRulesOptions {
  /** Prefix of the metrics. Default `stator`. */
  readonly prefix?: string;
  /** Events in the long window below which a burn rate is not alerted. Default `defaultMinimumEvents`. */
  readonly minimumEvents?: Partial<BurnRateOptions["minimumEvents"]>;
}

/** Requests, or tokens for the time between them, below which a burn rate says nothing. */
export const defaultMinimumEvents: BurnRateOptions["minimumEvents"] = {
  availability: 100,
  ttft: 100,
  itl: 5_000,
  duration: 100,
};

/** All rule groups: recordings and burn-rate alerts of the objectives, cause alerts, dead man's switch. */
export function alertRules(options: AlertRulesOptions = {}): readonly RuleGroup[] {
  const prefix = options.prefix ?? "stator";
  return [
    ...burnRateGroups({ prefix, minimumEvents: { ...defaultMinimumEvents, ...options.minimumEvents } }),
    causeGroup(prefix),
  ];
}

/** Writes the rules as a file for Prometheus' `rule_files`. */
export async function writeAlertRules(file: string, options: AlertRulesOptions = {}): Promise<void> {
  await writeFile(file, rulesYaml(alertRules(options)));
}
