import type { CallReader, CallReaderOptions } from "./call-reader.ts";
import { createMadeArguments } from "./made-arguments.ts";
import { createPythonLiteral, type PythonLiteral } from "./python-literal.ts";

type Part = "name" | "argumentOrEnd" | "argument" | "equals" | "value";

const wordCharacter = /[\w.]/;
const longestWord = 128;

/** Reads `name(key=value, …)` with Python literals as values; an argument is told when it is complete. */
export function createPythonCallReader(options: CallReaderOptions): CallReader {
  const made = createMadeArguments(options.index, options.id);
  let state: CallReader["state"] = "open";
  let raw = "";
  let part: Part = "name";
  let word = "";
  let literal: PythonLiteral | undefined;

  const isSpace = (character: string): boolean => character.trim() === "";
  const isWord = (character: string): boolean => {
    if (!wordCharacter.test(character) || word.length === longestWord) return false;
    word += character;
    return true;
  };
  const finish = (): true => {
    made.close();
    state = "done";
    return true;
  };
  const openArgument = (): boolean => {
    part = "value";
    literal = createPythonLiteral();
    return made.open(word);
  };
  const closeArgument = (character: string): boolean => {
    const json = literal!.json();
    if (json === undefined) return false;
    made.add(json);
    word = "";
    part = "argumentOrEnd";
    return character === "," || finish();
  };
  /** False when no call goes on so. */
  const step = (character: string): boolean => {
    switch (part) {
      case "name":
        if (isWord(character)) return true;
        if (character !== "(" || word === "" || !options.accepts(word)) return false;
        made.name = word;
        word = "";
        part = "argumentOrEnd";
        return true;
      case "argumentOrEnd":
        if (isSpace(character)) return true;
        if (character === ")") return finish();
        part = "argument";
        return isWord(character);
      case "argument":
        if (isWord(character)) return true;
        if (isSpace(character)) part = "equals";
        else return character === "=" && openArgument();
        return true;
      case "equals":
        return isSpace(character) || (character === "=" && openArgument());
      case "value":
        if ((character === "," || character === ")") && literal!.isAtTop) return closeArgument(character);
        return literal!.push(character);
    }
  };

  return {
    get state() {
      return state;
    },
    get raw() {
      return raw;
    },
    get isTold() {
      return made.isTold;
    },
    push(text, at) {
      let taken = at;
      while (taken < text.length && state === "open") {
        if (step(text[taken]!)) taken++;
        else state = "broken";
      }
      raw += text.slice(at, taken);
      return taken;
    },
    take: () => (state === "broken" ? [] : made.take()),
  };
}
