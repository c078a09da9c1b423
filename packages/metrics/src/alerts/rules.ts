/** A recording or alerting rule of Prometheus. */
export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  /** How long it must hold, e.g. `2m`. */
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** A rules file of Prometheus. Scalars are JSON strings, which YAML reads as they are. */
export function rulesYaml(groups: readonly RuleGroup[]): string {
  const out: string[] = ["groups:"];
  for (const group of groups) {
    out.push(`  - name: ${JSON.stringify(group.name)}`, "    rules:");
    for (const rule of group.rules) {
      const head =
        rule.record === undefined
          ? `alert: ${JSON.stringify(rule.alert)}`
          : `record: ${JSON.stringify(rule.record)}`;
      out.push(`      - ${head}`, `        expr: ${JSON.stringify(rule.expr)}`);
      if (rule.for !== undefined) out.push(`        for: ${JSON.stringify(rule.for)}`);
      for (const part of ["labels", "annotations"] as const) {
        const values = Object.entries(rule[part] ?? {});
        if (values.length > 0)
          out.push(
            `        ${part}:`,
            ...values.map(([key, value]) => `          ${key}: ${JSON.stringify(value)}`),
          );
      }
    }
  }
  return `${out.join("\n")}\n`;
}
