/** How long after a prompt was computed its blocks must have come back as events, in milliseconds. */
export const EVENT_PROOF_MS: number = 3000;
/** Prompts in a row that did not come back before a feed counts as silent. */
const MOST_MISSED = 3;

/** Checks that what a target computes comes back as KV events: a feed that lost them looks like an empty cache. */
export interface EventProof {
  /** The last three prompts that were checked did not come back. */
  readonly isSilent: boolean;
  /** No prompt waits to be checked. */
  readonly isIdle: boolean;
  /** A prompt was computed; the index held `knownBlocks` of its names when it was sent. */
  computed(names: BigUint64Array, knownBlocks: number, nowMs: number): void;
  /** Looks at the prompt that is due, if one is. */
  check(nowMs: number, blocksNow: (names: BigUint64Array) => number): ProofNews;
  /** A probe showed the same, at once. Returns true when silence began or ended. */
  probed(cameBack: boolean): boolean;
}

/** What a look showed. */
export interface ProofNews {
  /** The prompt that was due came back. */
  readonly cameBack: boolean;
  /** Silence began or ended. */
  readonly isTurn: boolean;
}

const noNews: ProofNews = { cameBack: false, isTurn: false };

export function createEventProof(): EventProof {
  let pending:
    { readonly names: BigUint64Array; readonly knownBlocks: number; readonly dueMs: number } | undefined;
  let missed = 0;
  return {
    get isSilent() {
      return missed >= MOST_MISSED;
    },
    get isIdle() {
      return pending === undefined;
    },
    computed(names, knownBlocks, nowMs) {
      // One at a time, and only prompts that must have added a block.
      if (pending === undefined && names.length > knownBlocks)
        pending = { names, knownBlocks, dueMs: nowMs + EVENT_PROOF_MS };
    },
    check(nowMs, blocksNow) {
      if (pending === undefined || nowMs < pending.dueMs) return noNews;
      const { names, knownBlocks } = pending;
      pending = undefined;
      const wasSilent = missed >= MOST_MISSED;
      const cameBack = blocksNow(names) > knownBlocks;
      missed = cameBack ? 0 : missed + 1;
      return { cameBack, isTurn: missed >= MOST_MISSED !== wasSilent };
    },
    probed(cameBack) {
      const wasSilent = missed >= MOST_MISSED;
      missed = cameBack ? 0 : MOST_MISSED;
      return cameBack === wasSilent;
    },
  };
}
