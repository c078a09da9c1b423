export type { Rule, RuleGroup } from "./rules.ts";
export { rulesYaml } from "./rules.ts";
export type { AlertRulesOptions } from "./alert-rules.ts";
export { alertRules, defaultMinimumEvents, writeAlertRules } from "./alert-rules.ts";
