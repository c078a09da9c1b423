import { nameBlocks, type GenerateRequest } from "@stator/core";

import { reuseKeys, type ReuseScope } from "../../handoff/reuse-keys.ts";

/** Ids with the names and keys of their full blocks. */
export interface BlockChain {
  readonly ids: Uint32Array;
  readonly tenantSalt: string | undefined;
  /** Names for routing and events. */
  readonly names: BigUint64Array;
  /** Keys that authorise reuse; computed when first asked for. */
  readonly keys: readonly Uint8Array[];
}

export function createBlockChain(
  ids: Uint32Array,
  tenantSalt: GenerateRequest["tenantSalt"],
  scope: Pick<ReuseScope, "weightsDigest" | "kvLayoutDigest">,
  blockTokens: number,
): BlockChain {
  const { weightsDigest, kvLayoutDigest } = scope;
  let keys: readonly Uint8Array[] | undefined;
  return {
    ids,
    tenantSalt,
    names: nameBlocks(ids, { blockTokens, ...(tenantSalt === undefined ? {} : { salt: tenantSalt }) }),
    get keys() {
      keys ??= reuseKeys({ weightsDigest, kvLayoutDigest, tenantSalt }, ids, blockTokens);
      return keys;
    },
  };
}
