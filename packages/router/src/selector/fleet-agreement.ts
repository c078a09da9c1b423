import { hashSchemeXxh3, type Worker } from "@stator/core";
import { routerError } from "../errors/router-error.ts";
import type { SelectorCard } from "./selector.ts";

/** What all workers of a selector must share: without it names never match, which looks like an empty cache. */
export interface FleetAgreement {
  /** Of the workers that joined; undefined before the first. */
  readonly blockTokens: number | undefined;
  /**
   * Takes a worker in; the first one decides for those after it.
   *
   * @throws RouterError `ROUTER_BLOCK_SIZE_MISMATCH`, `ROUTER_HASH_SCHEME_MISMATCH` or `ROUTER_TOKENIZER_MISMATCH`
   */
  join(worker: Worker, card: SelectorCard, isFirst: boolean): void;
}

export function createFleetAgreement(): FleetAgreement {
  let blockTokens: number | undefined;
  let tokenizerDigest: string | undefined;

  function check(worker: Worker, card: SelectorCard, isFirst: boolean): void {
    if (card.hashScheme !== hashSchemeXxh3) {
      throw routerError(
        "ROUTER_HASH_SCHEME_MISMATCH",
        `Worker ${worker.id} names blocks by ${card.hashScheme}; this router by ${hashSchemeXxh3}. Upgrade one of them.`,
        { worker: worker.id },
      );
    }
    if (isFirst) return;
    const digest = card.tokenizer?.digest || undefined;
    if (digest !== undefined && tokenizerDigest !== undefined && digest !== tokenizerDigest) {
      throw routerError(
        "ROUTER_TOKENIZER_MISMATCH",
        `Worker ${worker.id} has tokenizer ${digest}; the others here have ${tokenizerDigest}. The same text would get other token ids there and never match: give it a pool of its own, or the same tokenizer.`,
        { worker: worker.id, digest, expected: tokenizerDigest },
      );
    }
    if (blockTokens !== undefined && card.blockTokens !== blockTokens) {
      throw routerError(
        "ROUTER_BLOCK_SIZE_MISMATCH",
        `Worker ${worker.id} has blocks of ${card.blockTokens} tokens; the others here have ${blockTokens}. Start it with the same block size.`,
        { worker: worker.id, blockTokens: card.blockTokens, expected: blockTokens },
      );
    }
  }

  return {
    get blockTokens() {
      return blockTokens;
    },
    join(worker, card, isFirst) {
      check(worker, card, isFirst);
      blockTokens = card.blockTokens;
      const digest = card.tokenizer?.digest || undefined;
      tokenizerDigest = isFirst ? digest : (tokenizerDigest ?? digest);
    },
  };
}
