// A service of one's own: any Connect service, found and called through the runtime like an engine.
import type { ServiceImpl } from "@connectrpc/connect";
import type { GuardrailService } from "./gen/guardrail_pb.ts";

/** Refuses prompts that contain this sequence of ids. */
export const guardrail = (forbidden: readonly number[]): ServiceImpl<typeof GuardrailService> => ({
  check: ({ promptIds }) => {
    const isFound = promptIds.some((_, start) => forbidden.every((id, i) => promptIds[start + i] === id));
    return {
      isAllowed: !isFound,
      reason: isFound ? "The prompt holds what this server does not answer." : "",
    };
  },
});
