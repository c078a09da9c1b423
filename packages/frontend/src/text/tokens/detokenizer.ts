import type { Vocabulary } from "./vocabulary.ts";

/** Ids in, text out, for one choice over its whole life. */
export interface Detokenizer {
  /** Text that id completes: empty while a UTF-8 sequence is incomplete. */
  push(id: number): string;
  /** What is left at the end: U+FFFD for a sequence that never became complete, else empty. */
  end(): string;
}

/**
 * An incremental decoder. The texts of all pushes and of `end` joined equal the UTF-8 decoding (WHATWG, not fatal) of
 * all bytes joined, wherever the ids split them.
 */
export function createDetokenizer(vocabulary: Vocabulary): Detokenizer {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let held = new Uint8Array(0);
  return {
    push(id) {
      if (held.length === 0) {
        const text = vocabulary.text(id);
        if (text !== undefined) return text;
      }
      const more = vocabulary.bytes(id);
      if (more.length === 0) return "";
      const bytes = new Uint8Array(held.length + more.length);
      bytes.set(held);
      bytes.set(more, held.length);
      const complete = bytes.length - incompleteTail(bytes);
      held = bytes.slice(complete);
      return complete === 0 ? "" : decoder.decode(bytes.subarray(0, complete));
    },
    end() {
      const text = held.length === 0 ? "" : decoder.decode(held);
      held = new Uint8Array(0);
      return text;
    },
  };
}

/**
 * How many bytes at the end may still become one character. A lead byte always ends what is before it, so cutting in
 * front of one never changes the decoding.
 */
function incompleteTail(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc2 && byte <= 0xf4) return back < (byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4) ? back : 0;
  }
  return 0;
}
