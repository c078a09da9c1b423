import { systemClock } from "@stator/core";
import type { NowClock } from "../selector/options.ts";
import type { Booking, Decision, Selector } from "../selector/selector.ts";
import { encodeDecision } from "./decision-log.ts";
import type { DecisionSink } from "./decision-stream.ts";

export interface RecordingOptions {
  /** Default: the machine's monotonic clock. */
  readonly clock?: NowClock;
}

/** A selector whose booked decisions are written down. */
export interface RecordingSelector extends Selector {
  /** Lines dropped because the sink did not keep up. */
  readonly dropped: number;
}

/**
 * Writes one line of a decision log per booking, when it ends: block names, counts, what was chosen and how many tokens came
 * of it. No text and no token ids. `parseDecisions` reads it; @stator/simulator replays it with other policies, weights and
 * worker counts. For pools, `createPool({ selector })`; for services, `createRouterService({ selector })`.
 *
 * @example
 * const selector = recording(createSelector(), createWriteStream("decisions.jsonl"));
 */
export function recording(
  selector: Selector,
  sink: DecisionSink,
  { clock = systemClock }: RecordingOptions = {},
): RecordingSelector {
  let dropped = 0;

  function write(decision: Decision, atMs: number, outputTokens: number): void {
    if (sink.writableNeedDrain === true) dropped++;
    else sink.write(`${encodeDecision(decision, atMs, outputTokens > 0 ? outputTokens : undefined)}\n`);
  }

  function recorded(booking: Booking, decision: Decision): Booking {
    const atMs = clock.now();
    let outputTokens = 0;
    let isOpen = true;
    return {
      ...booking,
      progress(tokens) {
        outputTokens = Math.max(outputTokens, tokens);
        booking.progress(tokens);
      },
      free() {
        booking.free();
        if (isOpen) write(decision, atMs, outputTokens);
        isOpen = false;
      },
    };
  }

  return {
    ...selector,
    get blockTokens() {
      return selector.blockTokens;
    },
    get dropped() {
      return dropped;
    },
    book: (decision) => recorded(selector.book(decision), decision),
  };
}
