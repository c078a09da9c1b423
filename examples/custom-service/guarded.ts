import { StatorError, wrapEngine, type Engine } from "@stator/core";
import type { Runtime } from "@stator/runtime";
import { GuardrailService } from "./gen/guardrail_pb.ts";

/** An engine that asks the guardrail first, wherever in the namespace it is served. */
export function guarded(engine: Engine, runtime: Runtime): Engine {
  const client = runtime.client(GuardrailService);
  return wrapEngine(engine, {
    async *generate(request, options) {
      const answer = await client.check({ promptIds: [...request.promptIds] }, { signal: options.signal });
      if (!answer.isAllowed)
        throw new StatorError({ code: "GUARDRAIL_PROMPT_REFUSED", kind: "invalid", message: answer.reason });
      yield* engine.generate(request, options);
    },
  });
}
