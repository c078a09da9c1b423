/** What the matcher lets through after one push. */
export interface StopOutcome {
  /** Text that can no longer be part of a stop string, in order. */
  readonly text: string;
  /** The stop string that ended the output; `text` ends where it began. */
  readonly matched?: string;
}

/** Finds stop strings over the whole output text, however it is split into pieces. */
export interface StopMatcher {
  push(text: string): StopOutcome;
  /** The text that was held back for a match that did not come. */
  end(): string;
}

/**
 * The match that is complete first wins, and among those that end together the longest: so the outcome does not depend
 * on how the text was split. The stop string itself is never let through.
 */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  let held = "";
  return {
    push(text) {
      const whole = held + text;
      let end = Number.POSITIVE_INFINITY;
      let start = 0;
      let matched: string | undefined;
      for (const stop of stops) {
        const at = whole.indexOf(stop);
        if (at < 0) continue;
        if (at + stop.length < end || (at + stop.length === end && at < start)) {
          end = at + stop.length;
          start = at;
          matched = stop;
        }
      }
      if (matched !== undefined) {
        held = "";
        return { text: whole.slice(0, start), matched };
      }
      let hold = 0;
      for (const stop of stops) hold = Math.max(hold, longestSuffixThatBegins(whole, stop));
      held = hold === 0 ? "" : whole.slice(whole.length - hold);
      return { text: hold === 0 ? whole : whole.slice(0, whole.length - hold) };
    },
    end() {
      const text = held;
      held = "";
      return text;
    },
  };
}

/** How many characters at the end of `text` may still become `stop`. */
export function longestSuffixThatBegins(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
