import type { HistoryEntry } from "./history.ts";

/** One broken invariant. */
export interface Violation {
  readonly request: string;
  readonly choice: number;
  readonly rule: "oneTerminal" | "indexesOnce" | "nothingAfterTerminal" | "withinBudget" | "admittedFirst";
  readonly detail: string;
}

/**
 * Checks a recorded history: each request has exactly one terminal entry, nothing follows it, and its token indexes are
 * 0 to n - 1, once each, within the budget.
 */
export function checkHistory(entries: readonly HistoryEntry[]): readonly Violation[] {
  const violations: Violation[] = [];
  const requests = new Map<string, HistoryEntry[]>();
  for (const entry of entries) {
    const key = `${entry.request}\u0000${entry.choice}`;
    const known = requests.get(key);
    if (known === undefined) requests.set(key, [entry]);
    else known.push(entry);
  }
  for (const list of requests.values()) check(list, violations);
  return violations;
}

function check(list: readonly HistoryEntry[], violations: Violation[]): void {
  const { request, choice } = list[0]!;
  const report = (rule: Violation["rule"], detail: string): void =>
    void violations.push({ request, choice, rule, detail });
  let next: number | undefined;
  let budget = 0;
  let terminals = 0;
  for (const entry of list) {
    if (terminals > 0) report("nothingAfterTerminal", entry.type);
    switch (entry.type) {
      case "admitted":
        if (next !== undefined) report("admittedFirst", "admitted twice under one id");
        next = entry.from;
        budget = entry.maxTokens;
        break;
      case "tokens":
        if (next === undefined) report("admittedFirst", "tokens before it was admitted");
        if (entry.firstIndex !== next)
          report("indexesOnce", `index ${entry.firstIndex} where ${next} was due`);
        next = entry.firstIndex + entry.ids.length;
        if (next > budget) report("withinBudget", `${next} tokens of ${budget}`);
        break;
      case "finished":
      case "failed":
      case "cancelled":
        terminals += 1;
    }
  }
  if (terminals !== 1) report("oneTerminal", `${terminals} terminal entries`);
}

/** A watch of a registry as it was told, in order. */
export interface WatchEntry {
  readonly type: "put" | "delete";
  readonly id: string;
  readonly epoch: string;
}

/** Checks a watch: nothing is told twice, nothing is deleted that was not there, and it ends in what is there now. */
export function checkWatch(
  entries: readonly WatchEntry[],
  now: ReadonlyMap<string, string>,
): readonly string[] {
  const violations: string[] = [];
  const known = new Map<string, string>();
  for (const { type, id, epoch } of entries) {
    if (type === "delete") {
      if (!known.has(id)) violations.push(`${id} was deleted but not there`);
      known.delete(id);
      continue;
    }
    if (known.get(id) === epoch) violations.push(`${id} of epoch ${epoch} was told twice`);
    known.set(id, epoch);
  }
  for (const [id, epoch] of now)
    if (known.get(id) !== epoch) violations.push(`${id} is ${epoch}, told was ${known.get(id) ?? "nothing"}`);
  for (const id of known.keys()) if (!now.has(id)) violations.push(`${id} is gone but was not told`);
  return violations;
}
