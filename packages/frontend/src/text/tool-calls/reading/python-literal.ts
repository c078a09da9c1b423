/** Turns one Python literal into JSON, a character at a time. */
export interface PythonLiteral {
  /** False when no literal goes on so. */
  push(character: string): boolean;
  /** Outside of strings and brackets: a comma or bracket here is not the literal's. */
  readonly isAtTop: boolean;
  /** Undefined when it is not complete, or nothing that JSON can say. */
  json(): string | undefined;
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
  "0": "\0",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
};
const hexDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const words: Readonly<Record<string, string>> = {
  True: "true",
  False: "false",
  None: "null",
  true: "true",
  false: "false",
  null: "null",
};
const closerOf: Readonly<Record<string, string>> = { "[": "]", "(": ")", "{": "}" };
const deepest = 64;

/** A list, tuple or dictionary that is open. */
interface Open {
  readonly closer: string;
  /** `key`: a key or the end; `colon`, `value`: a value or, in lists, the end; `comma`: a comma or the end. */
  due: "key" | "colon" | "value" | "comma";
}

export function createPythonLiteral(): PythonLiteral {
  const open: Open[] = [];
  let json = "";
  /** A whole value stands at the top. */
  let isWhole = false;
  let quote: string | undefined;
  let text = "";
  let escape: { digits: string; length: number } | "begin" | undefined;
  let scalar = "";

  const endValue = (): void => {
    const top = open.at(-1);
    if (top === undefined) isWhole = true;
    else top.due = top.due === "key" ? "colon" : "comma";
  };
  /** A value or key may stand here. */
  const mayBegin = (isKey: boolean): boolean => {
    const top = open.at(-1);
    if (top === undefined) return !isWhole;
    if (top.due === "key") return isKey;
    return top.due === "value";
  };
  const endScalar = (): boolean => {
    if (scalar === "") return true;
    const word = words[scalar] ?? numberAsJson(scalar);
    scalar = "";
    if (word === undefined) return false;
    json += word;
    endValue();
    return true;
  };
  const inString = (character: string): boolean => {
    if (escape === "begin") {
      const length = hexDigits[character];
      // An unknown escape is itself, as in Python.
      if (length === undefined) text += escapes[character] ?? `\\${character}`;
      escape = length === undefined ? undefined : { digits: "", length };
    } else if (escape !== undefined) {
      if (!/[0-9a-fA-F]/.test(character)) return false;
      escape.digits += character;
      if (escape.digits.length === escape.length) {
        const code = Number.parseInt(escape.digits, 16);
        if (code > 0x10ffff) return false;
        text += String.fromCodePoint(code);
        escape = undefined;
      }
    } else if (character === "\\") escape = "begin";
    else if (character === quote) {
      json += JSON.stringify(text);
      quote = undefined;
      text = "";
      endValue();
    } else text += character;
    return true;
  };
  const structure = (character: string): boolean => {
    const top = open.at(-1);
    if (character === "'" || character === '"') {
      quote = character;
      return mayBegin(true);
    }
    if (closerOf[character] !== undefined) {
      if (!mayBegin(false) || open.length === deepest) return false;
      json += character === "{" ? "{" : "[";
      open.push({ closer: closerOf[character], due: character === "{" ? "key" : "value" });
      return true;
    }
    if (top === undefined) return false;
    if (character === top.closer) {
      if (top.due === "colon" || (top.closer === "}" && top.due === "value")) return false;
      // A comma before the end is no JSON; behind a value only a comma makes another one due.
      if (top.due !== "comma" && json.endsWith(", ")) json = json.slice(0, -2);
      json += top.closer === "}" ? "}" : "]";
      open.pop();
      endValue();
      return true;
    }
    if (character === "," && top.due === "comma") {
      json += ", ";
      top.due = top.closer === "}" ? "key" : "value";
      return true;
    }
    if (character === ":" && top.due === "colon") {
      json += ": ";
      top.due = "value";
      return true;
    }
    return false;
  };

  return {
    get isAtTop() {
      return quote === undefined && open.length === 0;
    },
    push(character) {
      if (quote !== undefined) return inString(character);
      if (/[\w.+-]/.test(character)) {
        if (scalar === "" && !mayBegin(false)) return false;
        scalar += character;
        return scalar.length <= 400;
      }
      if (!endScalar()) return false;
      return character.trim() === "" || structure(character);
    },
    json() {
      return endScalar() && isWhole && quote === undefined && open.length === 0 ? json : undefined;
    },
  };
}

function numberAsJson(text: string): string | undefined {
  // Digits as they are: an integer may have more than a double holds.
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return text;
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? JSON.stringify(value) : undefined;
}
