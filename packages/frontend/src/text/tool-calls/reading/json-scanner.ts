/** Follows JSON text by RFC 8259, a character at a time, without building anything. */
export interface JsonScanner {
  /** False when no JSON text begins with what was pushed. */
  push(code: number): boolean;
  /** Open objects and arrays after the last character. */
  readonly depth: number;
  /** Whether the last character is part of a string that is still open. */
  readonly isInString: boolean;
}

type State =
  | "value"
  | "valueOrEnd"
  | "key"
  | "keyOrEnd"
  | "colon"
  | "commaOrEnd"
  | "string"
  | "escape"
  | "unicode"
  | "scalar"
  | "end";

const scalarPattern = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

export function createJsonScanner(): JsonScanner {
  /** For each open object or array, whether it is an object. */
  const open: boolean[] = [];
  let state: State = "value";
  let isKey = false;
  let hexDigits = 0;
  let scalar = "";

  const endValue = (): true => {
    state = open.length === 0 ? "end" : "commaOrEnd";
    return true;
  };
  const begin = (code: number): boolean => {
    if (code === 0x22) {
      isKey = false;
      state = "string";
    } else if (code === 0x7b || code === 0x5b) {
      open.push(code === 0x7b);
      state = code === 0x7b ? "keyOrEnd" : "valueOrEnd";
    } else if (isScalarCode(code)) {
      scalar = String.fromCharCode(code);
      state = "scalar";
    } else return false;
    return true;
  };
  const close = (code: number): boolean => {
    if (open.length === 0 || open[open.length - 1] !== (code === 0x7d)) return false;
    open.pop();
    return endValue();
  };
  const structure = (code: number): boolean => {
    if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) return true;
    const isClosing = code === 0x7d || code === 0x5d;
    switch (state) {
      case "value":
        return begin(code);
      case "valueOrEnd":
        return isClosing ? close(code) : begin(code);
      case "key":
      case "keyOrEnd":
        if (isClosing) return state === "keyOrEnd" && close(code);
        isKey = true;
        state = "string";
        return code === 0x22;
      case "colon":
        state = "value";
        return code === 0x3a;
      case "commaOrEnd":
        if (isClosing) return close(code);
        state = open[open.length - 1] === true ? "key" : "value";
        return code === 0x2c;
      default:
        return false;
    }
  };

  return {
    get depth() {
      return open.length;
    },
    get isInString() {
      return state === "string" || state === "escape" || state === "unicode";
    },
    push(code) {
      switch (state) {
        case "string":
          if (code === 0x5c) state = "escape";
          else if (code === 0x22) {
            if (isKey) state = "colon";
            else endValue();
          }
          return code >= 0x20;
        case "escape":
          hexDigits = 4;
          state = code === 0x75 ? "unicode" : "string";
          return '"\\/bfnrtu'.includes(String.fromCharCode(code));
        case "unicode":
          if (--hexDigits === 0) state = "string";
          return /[0-9a-fA-F]/.test(String.fromCharCode(code));
        case "scalar":
          if (isScalarCode(code)) {
            scalar += String.fromCharCode(code);
            return true;
          }
          if (!scalarPattern.test(scalar)) return false;
          endValue();
          return structure(code);
        default:
          return structure(code);
      }
    },
  };
}

/** Digits, signs, the point, and the letters of numbers, `true`, `false` and `null`. */
function isScalarCode(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x61 && code <= 0x7a) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e ||
    code === 0x45
  );
}
