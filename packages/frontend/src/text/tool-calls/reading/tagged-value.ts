import { longestSuffixThatBegins } from "../../tokens/stop-strings.ts";

/** One value between tags, as JSON. */
export interface TaggedValue {
  /** Takes what comes; returns what is behind the value's end mark once that is there. */
  push(text: string): string | undefined;
}

export interface TaggedValueOptions {
  readonly valueEnd: string;
  /** A line break on either side is none of the value. */
  readonly isOnOwnLines: boolean;
  /** Gets the value's JSON: a string as it comes, anything else when it is complete. */
  readonly add: (json: string) => void;
  /** The JSON of a complete value; absent: it is a string. */
  readonly convert?: (text: string) => string;
}

export function createTaggedValue({ valueEnd, isOnOwnLines, add, convert }: TaggedValueOptions): TaggedValue {
  /** Text that is not settled: its last characters may be none of the value. */
  let held = "";
  let isFirst = true;
  const kept: string[] = [];

  /** Text that is the value's for certain. */
  const settle = (text: string): void => {
    if (text === "") return;
    if (convert === undefined) add(JSON.stringify(text).slice(1, -1));
    else kept.push(text);
  };
  /** How many characters of `held` may be the end mark, the last line break, or half a character. */
  const unsettled = (): number => {
    let count = longestSuffixThatBegins(held, valueEnd);
    if (isOnOwnLines && held[held.length - 1 - count] === "\n") count++;
    const last = held.charCodeAt(held.length - 1 - count);
    return last >= 0xd800 && last < 0xdc00 ? count + 1 : count;
  };

  return {
    push(text) {
      held += text;
      if (isFirst && held !== "") {
        isFirst = false;
        if (convert === undefined) add('"');
        if (isOnOwnLines && held[0] === "\n") held = held.slice(1);
      }
      const end = held.indexOf(valueEnd);
      if (end < 0) {
        const count = unsettled();
        settle(held.slice(0, held.length - count));
        held = held.slice(held.length - count);
        return undefined;
      }
      settle(held.slice(0, isOnOwnLines && held[end - 1] === "\n" ? end - 1 : end));
      add(convert === undefined ? '"' : convert(kept.join("")));
      return held.slice(end + valueEnd.length);
    },
  };
}
