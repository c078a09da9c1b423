import { EnginesError } from "../errors/engines-error.ts";
import { sameKey } from "./reuse-keys.ts";
import type { FetchOptions } from "./transfer.ts";

/**
 * Asks for all blocks from `local` on, after checking every key against this side's own: KV of another prompt, tenant or
 * model is refused before a byte of it travels.
 */
export function lacksFrom(keys: readonly Uint8Array[], local: number): FetchOptions["lacks"] {
  return (index, key) => {
    const own = keys[index];
    if (own !== undefined && sameKey(own, key)) return index >= local;
    throw new EnginesError({
      code: "ENGINES_HANDOFF_INCOMPATIBLE",
      kind: "incompatible",
      message: `Block ${index} of the handoff is not KV of this request's prompt.`,
    });
  };
}
