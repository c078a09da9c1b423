import { xxh3 } from "./xxh3.ts";

/** Seed of every block name: Dynamo's and the Mooncake indexer RFC's (kvcache-ai/Mooncake#1403). */
export const blockNameSeed: bigint = 1337n;

/** What separates the names of equal tokens: two scopes that differ never share a name. */
export interface BlockScope {
  /** Tokens in one block, 1 to 16384. Router, worker and engine must agree. */
  readonly blockTokens: number;
  /** LoRA adapter by name; absent or empty for the base model. */
  readonly adapter?: string;
  /** Tenant salt or cache namespace. */
  readonly salt?: string;
  /** Ids beyond a block that its local hash covers too: 1 for engines that key bigrams (EAGLE). Default 0. */
  readonly lookaheadTokens?: number;
}

const encoder = new TextEncoder();

/**
 * The seed of a scope's local hashes: 1337, plus XXH3(adapter, seed 0), plus XXH3(salt, seed 1), modulo 2^64, as Dynamo
 * mixes LoRA names and cache namespaces.
 */
export function blockScopeSeed(scope: Pick<BlockScope, "adapter" | "salt">): bigint {
  let seed = blockNameSeed;
  if (scope.adapter !== undefined && scope.adapter !== "") seed += xxh3(encoder.encode(scope.adapter), 0n);
  if (scope.salt !== undefined && scope.salt !== "") seed += xxh3(encoder.encode(scope.salt), 1n);
  return BigInt.asUintN(64, seed);
}
