import { type JinjaValue, runtimeValue } from "./jinja-library.ts";

/** `{}` and `{0}` of Python's `str.format`. */
export function formatted(pattern: string, args: readonly JinjaValue[]): string {
  let next = 0;
  return pattern.replace(/\{(\d*)\}/g, (_, digits: string) => {
    const arg = args[digits === "" ? next++ : Number(digits)];
    if (arg === undefined) throw new Error("format has fewer arguments than places");
    return typeof arg.value === "object" ? pythonText(arg) : String(arg.value);
  });
}

/** What Python's `str` writes. */
export function pythonText({ type, value }: JinjaValue): string {
  if (value === null || value === undefined) return "None";
  if (type === "StringValue") return quoted(String(value));
  if (type === "BooleanValue") return value === true ? "True" : "False";
  if (type === "ArrayValue") return `[${(value as JinjaValue[]).map(pythonText).join(", ")}]`;
  if (value instanceof Map) {
    const entries = [...(value as Map<string, JinjaValue>)];
    return `{${entries.map(([key, of]) => `${pythonText(runtimeValue(key))}: ${pythonText(of)}`).join(", ")}}`;
  }
  return String(value);
}

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t");
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}
