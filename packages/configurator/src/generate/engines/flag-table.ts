import { configuratorError } from "../../configurator-error.ts";

/** One command-line flag of an engine and the setting it carries. `true` writes the bare flag. */
export interface Flag<S> {
  readonly name: string;
  /** Value for these settings; undefined leaves the flag out. */
  readonly write: (settings: S) => string | number | true | undefined;
  /** First engine release (major.minor) that has it; earlier ones do without. */
  readonly since?: string;
  /** First engine release that no longer has it. */
  readonly until?: string;
}

/** argv of these settings for one engine release. */
export function writeFlags<S>(flags: readonly Flag<S>[], settings: S, version: string): string[] {
  return flags.flatMap((flag) => {
    if (flag.since !== undefined && compareVersions(version, flag.since) < 0) return [];
    if (flag.until !== undefined && compareVersions(version, flag.until) >= 0) return [];
    const value = flag.write(settings);
    if (value === undefined) return [];
    return value === true ? [flag.name] : [flag.name, String(value)];
  });
}

/** The flags of an argv by name; bare ones are `true`. The inverse of `writeFlags`. */
export function readFlags(argv: readonly string[]): ReadonlyMap<string, string | true> {
  const found = new Map<string, string | true>();
  for (let at = 0; at < argv.length; at++) {
    const name = argv[at] ?? "";
    if (!name.startsWith("--")) continue;
    const next = argv[at + 1];
    if (next === undefined || next.startsWith("--")) found.set(name, true);
    else {
      found.set(name, next);
      at += 1;
    }
  }
  return found;
}

/** Negative when `a` is the older release. Only numbers count; `1.2.0rc5` is `1.2.0`. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string): number[] => {
    const numbers = /^\d+(?:\.\d+)*/.exec(version)?.[0];
    if (numbers === undefined)
      throw configuratorError(
        "CONFIGURATOR_OPTION_INVALID",
        `"${version}" is no engine version; use numbers such as 0.19 or 1.2.0`,
        { version },
      );
    return numbers.split(".").map(Number);
  };
  const [left, right] = [parts(a), parts(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
