import type { ToolCallPiece } from "../tool-call-format.ts";

/** Tells a call whose model writes its arguments otherwise than in JSON: they are made here, a member at a time. */
export interface MadeArguments {
  /** Something of it was told. */
  readonly isTold: boolean;
  name: string | undefined;
  /** False when the call has this member already. */
  open(key: string): boolean;
  /** JSON of the open member's value, whole or a part of it. */
  add(json: string): void;
  /** No member follows: the object is complete. */
  close(): void;
  take(): readonly ToolCallPiece[];
}

export function createMadeArguments(index: number, id: string): MadeArguments {
  const keys = new Set<string>();
  let untold = "";
  const made: { -readonly [Key in keyof MadeArguments]: MadeArguments[Key] } = {
    isTold: false,
    name: undefined,
    open(key) {
      if (keys.has(key)) return false;
      untold += `${keys.size === 0 ? "{" : ", "}${JSON.stringify(key)}: `;
      keys.add(key);
      return true;
    },
    add(json) {
      untold += json;
    },
    close() {
      untold += keys.size === 0 ? "{}" : "}";
    },
    take() {
      if (untold === "") return [];
      const pieces: ToolCallPiece[] = made.isTold ? [] : [{ index, id, name: made.name!, arguments: "" }];
      made.isTold = true;
      pieces.push({ index, arguments: untold });
      untold = "";
      return pieces;
    },
  };
  return made;
}
