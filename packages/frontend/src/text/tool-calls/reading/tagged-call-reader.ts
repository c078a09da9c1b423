import type { CallReader, CallReaderOptions } from "./call-reader.ts";
import { createMadeArguments } from "./made-arguments.ts";
import { argumentSchema, isString, valueAsJson } from "./schema-value.ts";
import { createTaggedValue, type TaggedValue } from "./tagged-value.ts";

/** How a model writes a call between tags: a name, then keys with their values. White space between the parts is free. */
export interface TaggedSyntax {
  /** Before the name; may be empty. */
  readonly nameStart: string;
  /** Behind the name; may be empty. */
  readonly nameEnd: string;
  readonly keyStart: string;
  /** Behind a key; where a model says there what kind of value follows, by kind. */
  readonly keyEnd: string;
  readonly keyEndOfString?: string;
  readonly keyEndOfJson?: string;
  /** Before the value; empty where it follows the key at once. */
  readonly valueStart: string;
  readonly valueEnd: string;
  /** Behind the last value. */
  readonly end: string;
  /** A line break on either side of a value is none of it. */
  readonly isOnOwnLines: boolean;
}

type Part = "nameStart" | "name" | "nameEnd" | "memberOrEnd" | "key" | "keyEnd" | "valueStart" | "value";

const nameCharacter = /[\w.:/-]/;
const longestWord = 128;

/** Reads a call between tags. Arguments that are strings by their tool's schema are told as they come, others when complete. */
export function createTaggedCallReader(options: CallReaderOptions, syntax: TaggedSyntax): CallReader {
  const made = createMadeArguments(options.index, options.id);
  const typedKeyEnds = [syntax.keyEndOfString, syntax.keyEndOfJson].filter((one) => one !== undefined);
  let state: CallReader["state"] = "open";
  let raw = "";
  /** What was pushed and is not consumed: the beginning of the present part. */
  let rest = "";
  let part: Part = "nameStart";
  let key = "";
  /** What the model said the value is. */
  let said: "string" | "json" | undefined;
  let value: TaggedValue | undefined;

  const consume = (length: number, next: Part): true => {
    rest = rest.slice(length);
    part = next;
    return true;
  };
  const breakAt = (length: number): false => {
    state = "broken";
    rest = rest.slice(length);
    return false;
  };
  /** The one of the texts that stands here; undefined when more is needed, or none does and the call is broken. */
  const literal = (...texts: readonly string[]): string | undefined => {
    const whole = texts.find((text) => rest.startsWith(text));
    if (whole === undefined && !texts.some((text) => text.startsWith(rest)))
      breakAt(Math.max(...texts.map((text) => commonLength(text, rest))));
    return whole;
  };
  /** A name or key, once what is behind it is there; undefined as in `literal`. */
  const word = (isOfWord: (character: string) => boolean): string | undefined => {
    let length = 0;
    while (length < rest.length && length <= longestWord && isOfWord(rest[length]!)) length++;
    if (length > longestWord) breakAt(longestWord);
    else if (length < rest.length && length > 0) return rest.slice(0, length);
    else if (length < rest.length) breakAt(0);
    return undefined;
  };

  /** One part further; false when more is needed or the call is over. */
  const step = (): boolean => {
    switch (part) {
      case "nameStart":
        return literal(syntax.nameStart) !== undefined && consume(syntax.nameStart.length, "name");
      case "name":
        made.name = word((character) => nameCharacter.test(character));
        if (made.name === undefined) return false;
        consume(made.name.length, "nameEnd");
        return options.accepts(made.name) || breakAt(0);
      case "nameEnd":
        return literal(syntax.nameEnd) !== undefined && consume(syntax.nameEnd.length, "memberOrEnd");
      case "memberOrEnd": {
        rest = rest.trimStart();
        const found = literal(syntax.keyStart, syntax.end);
        if (found === undefined) return false;
        consume(found.length, "key");
        if (found === syntax.keyStart) return true;
        made.close();
        state = "done";
        return false;
      }
      case "key": {
        const found = word((character) => character !== syntax.keyEnd[0] && character.trim() !== "");
        if (found === undefined) return false;
        key = found;
        return consume(key.length, "keyEnd");
      }
      case "keyEnd": {
        const found = literal(syntax.keyEnd, ...typedKeyEnds);
        if (found === undefined) return false;
        consume(found.length, "valueStart");
        said =
          found === syntax.keyEndOfString ? "string" : found === syntax.keyEndOfJson ? "json" : undefined;
        return made.open(key) || breakAt(0);
      }
      case "valueStart": {
        if (syntax.valueStart !== "") rest = rest.trimStart();
        if (literal(syntax.valueStart) === undefined) return false;
        const schema = said === undefined ? argumentSchema(options.parametersOf(made.name!), key) : undefined;
        value = createTaggedValue({
          ...syntax,
          add: (json) => made.add(json),
          ...(said === "string" || isString(schema) ? {} : { convert: (text) => valueAsJson(text, schema) }),
        });
        return consume(syntax.valueStart.length, "value");
      }
      case "value": {
        const behind = value!.push(rest);
        rest = behind ?? "";
        if (behind !== undefined) part = "memberOrEnd";
        return behind !== undefined;
      }
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
      rest += text.slice(at);
      while (state === "open" && step());
      // Whatever ends a call ends it in what was pushed last.
      const stopped = state === "open" ? text.length : text.length - rest.length;
      raw += text.slice(at, stopped);
      return stopped;
    },
    take: () => (state === "broken" ? [] : made.take()),
  };
}

function commonLength(a: string, b: string): number {
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return same;
}
