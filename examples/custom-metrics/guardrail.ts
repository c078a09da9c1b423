import { type Engine, type Meter, StatorError, wrapEngine } from "@stator/core";

export interface GuardrailOptions {
  readonly meter: Meter;
  /** Token ids that no prompt may hold, by the name of the rule. */
  readonly rules: Readonly<Record<string, ReadonlySet<number>>>;
}

/** An engine of one's own with metrics of its own: refuses prompts by rule, counts and times its checks. */
export function guarded(engine: Engine, { meter, rules }: GuardrailOptions): Engine {
  const refused = meter.counter({
    name: "guardrail_refused",
    unit: "requests",
    help: "Prompts refused, by rule.",
    labels: ["rule"],
  });
  const checked = meter
    .histogram({
      name: "guardrail_check",
      unit: "seconds",
      help: "Time that the checks of one prompt took.",
      buckets: [0.00001, 0.0001, 0.001, 0.01, 0.1],
    })
    .labels({});
  // Series on hot paths are looked up once and kept; known ones start at 0.
  const refusedBy = new Map(Object.keys(rules).map((rule) => [rule, refused.labels({ rule })]));
  return wrapEngine(engine, {
    generate(request, options) {
      const startMs = performance.now();
      const broken = Object.entries(rules).find(([, banned]) =>
        request.promptIds.some((id) => banned.has(id)),
      );
      checked.observe((performance.now() - startMs) / 1000);
      if (broken === undefined) return engine.generate(request, options);
      refusedBy.get(broken[0])?.add();
      throw new StatorError({
        code: "GUARDRAIL_REFUSED",
        kind: "invalid",
        message: `The prompt breaks rule "${broken[0]}".`,
      });
    },
  });
}
