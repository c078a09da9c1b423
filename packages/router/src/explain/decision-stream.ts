import type { RequestObserver } from "@stator/core";

/** Where lines go: a Node stream, or anything that takes text. */
export interface DecisionSink {
  write(line: string): unknown;
  /** True while it cannot take more: lines are dropped then, and counted. */
  readonly writableNeedDrain?: boolean;
}

/** Writes decisions as they fall. */
export interface DecisionStream {
  /** For `observers` of a server or `onEvent` of a request. */
  readonly observer: RequestObserver;
  /** Lines dropped because the sink did not keep up. */
  readonly dropped: number;
}

/**
 * Explains every decision in a JSON line: request, choice, attempt, phase, the worker that was chosen, its cost in
 * milliseconds and those of all candidates with their terms, and the reason. No prompt, no token ids.
 *
 * @example
 * createOpenAIServer({ models, observers: [decisionLog(createWriteStream("decisions.jsonl")).observer] });
 */
export function decisionLog(sink: DecisionSink): DecisionStream {
  let dropped = 0;
  return {
    get dropped() {
      return dropped;
    },
    observer(event) {
      if (event.type !== "routed") return;
      if (sink.writableNeedDrain === true) {
        dropped += 1;
        return;
      }
      const { type: _type, ...decision } = event;
      sink.write(`${JSON.stringify(decision)}\n`);
    },
  };
}
