import type { GenerateRequest, TokenBatch, WorkerEpoch } from "@stator/core";

/** What one batch was to the journal. */
export type JournalVerdict = "accepted" | "dropped" | "fault";

/**
 * Everything that is known of one request in flight, so that another worker can go on with it: the output so far, the
 * attempt that may add to it, and the lives that must not serve it again.
 */
export interface Journal {
  /** Absolute index of the next output id. */
  readonly next: number;
  readonly attempt: number;
  readonly lastId: number | undefined;
  /** Lives that this request must not go to again. */
  readonly avoid: readonly WorkerEpoch[];
  /** Wrong indexes of the current attempt. */
  readonly faults: number;
  /** Tokens of the prompt and the output that it holds. */
  readonly tokens: number;
  /** Takes a batch of `attempt`: another attempt's is dropped, a wrong index is a fault. */
  take(attempt: number, batch: TokenBatch): JournalVerdict;
  /** Whether the batch's report of cached tokens is the one for the bill: the first of all attempts. */
  billsCached(batch: TokenBatch): boolean;
  /** The request as the current attempt sends it. */
  request(): GenerateRequest;
  shun(life: WorkerEpoch): void;
  /** Starts the next attempt; `weightsDigest` pins it to the weights that made the output so far. */
  nextAttempt(weightsDigest: string | undefined): void;
}

export function createJournal(original: GenerateRequest): Journal {
  let ids = new Uint32Array(Math.max(64, original.outputIds.length * 2));
  ids.set(original.outputIds);
  let next = original.outputIds.length;
  let attempt = original.attempt;
  let faults = 0;
  let isCachedBilled = false;
  let weights: string | undefined;
  const avoid: WorkerEpoch[] = [...original.avoid];

  return {
    get next() {
      return next;
    },
    get attempt() {
      return attempt;
    },
    get lastId() {
      return next === 0 ? undefined : ids[next - 1];
    },
    get avoid() {
      return avoid;
    },
    get faults() {
      return faults;
    },
    get tokens() {
      return original.promptIds.length + next;
    },
    take(from, batch) {
      if (from !== attempt) return "dropped";
      const carries = batch.ids.length > 0 || batch.finish !== undefined;
      if (carries && batch.firstIndex !== next) {
        faults += 1;
        return "fault";
      }
      const end = next + batch.ids.length;
      if (end > ids.length) {
        const larger = new Uint32Array(Math.max(end, ids.length * 2));
        larger.set(ids);
        ids = larger;
      }
      ids.set(batch.ids, next);
      next = end;
      return "accepted";
    },
    billsCached(batch) {
      if (batch.cachedTokens === undefined || isCachedBilled) return false;
      isCachedBilled = true;
      return true;
    },
    request() {
      if (attempt === original.attempt) return original;
      const { handoff: _spent, ...rest } = original;
      return {
        ...rest,
        attempt,
        outputIds: ids.slice(0, next),
        avoid: [...avoid],
        ...(weights === undefined ? {} : { hints: { ...original.hints, weightsDigest: weights } }),
      };
    },
    shun(life) {
      if (!avoid.some((one) => one.worker === life.worker && one.epoch === life.epoch)) avoid.push(life);
    },
    nextAttempt(weightsDigest) {
      attempt += 1;
      faults = 0;
      if (next > 0 && weightsDigest !== undefined) weights ??= weightsDigest;
    },
  };
}
