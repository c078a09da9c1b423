import type { ToolCallPiece } from "../tool-call-format.ts";
import type { CallReader, CallReaderOptions } from "./call-reader.ts";
import { createJsonScanner } from "./json-scanner.ts";

/** What stands before a call's arguments, at most. */
const longestHead = 256;

/** What stands before a call's arguments. */
export interface CallHead {
  readonly name: string;
  /** The model's own id, where its template takes none but those back. */
  readonly id?: string;
}

/**
 * Reads a name and a JSON object behind it.
 *
 * @param readHead what all that stands before the object's brace says; undefined when it is no call.
 */
export function createNamedCallReader(
  options: CallReaderOptions,
  readHead: (text: string) => CallHead | undefined,
): CallReader {
  const { index, accepts } = options;
  const scanner = createJsonScanner();
  let state: CallReader["state"] = "open";
  let raw = "";
  let head: CallHead | undefined;
  let isTold = false;
  let untold = "";

  /** False when no call goes on so. */
  const step = (character: string): boolean => {
    if (head === undefined) {
      if (character !== "{") return raw.length < longestHead;
      head = readHead(raw);
      if (head === undefined || !accepts(head.name)) return false;
    }
    if (!scanner.push(character.charCodeAt(0))) return false;
    if (scanner.depth === 0) state = "done";
    untold += character;
    return true;
  };

  return {
    get state() {
      return state;
    },
    get raw() {
      return raw;
    },
    get isTold() {
      return isTold;
    },
    push(text, at) {
      for (let i = at; i < text.length; i++) {
        if (!step(text[i]!)) {
          state = "broken";
          return i;
        }
        raw += text[i];
        if (state === "done") return i + 1;
      }
      return text.length;
    },
    take() {
      if (state === "broken" || head === undefined || untold === "") return [];
      const { name, id = options.id } = head;
      const pieces: ToolCallPiece[] = isTold ? [] : [{ index, id, name, arguments: "" }];
      isTold = true;
      pieces.push({ index, arguments: untold });
      untold = "";
      return pieces;
    },
  };
}
