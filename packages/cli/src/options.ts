import { InvalidArgumentError } from "commander";

/** A finite number, at least 0. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError("expected a number that is not negative");
  return value;
}

/** Between 0 and 1, both excluded. */
export function share(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1))
    throw new InvalidArgumentError("expected a share between 0 and 1, such as 0.8");
  return value;
}

/** A whole number, at least 1. */
export function positive(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("expected a whole number of at least 1");
  return value;
}

/** A whole number, at least 0. */
export function count(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError("expected a whole number of at least 0");
  return value;
}

/** A TCP port; 0 lets the system pick one. */
export function port(text: string): number {
  const value = count(text);
  if (value > 65_535) throw new InvalidArgumentError("expected a port from 0 to 65535");
  return value;
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `500ms`, `30s`, `5m`, `1h`, or plain seconds; in milliseconds. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  if (match === null) throw new InvalidArgumentError("expected a time such as 500ms, 30s, 5m or 1h");
  return Number(match[1]) * units[match[2] ?? "s"]!;
}

/** `key=value`, collected into one object. */
export function keyValue(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("expected key=value");
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

const binary: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `4096`, `4k,64k,1m`: whole numbers of at least 1, with binary units. */
export function sizes(text: string): number[] {
  return text.split(",").map((part) => {
    const match = /^(\d+)([kmg]?)$/i.exec(part.trim());
    const value = match === null ? 0 : Number(match[1]) * binary[match[2]!.toLowerCase()]!;
    if (!Number.isSafeInteger(value) || value < 1)
      throw new InvalidArgumentError("expected sizes such as 4096 or 4k,64k,1m");
    return value;
  });
}

/** The object without keys whose value is undefined. */
export function withoutUndefined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
