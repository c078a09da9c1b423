/** Line ends of Unicode that JSON allows inside strings but some event-stream readers split at. */
const lineEnds = /[\u0085\u2028\u2029]/g;

/** A text as JSON that stays in one line for every reader; lone surrogates are escaped. */
export function jsonText(text: string): string {
  const json = JSON.stringify(text);
  return lineEnds.test(json)
    ? json.replace(lineEnds, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, "0")}`)
    : json;
}
