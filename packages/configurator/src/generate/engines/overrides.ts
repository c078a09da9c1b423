/** What a recipe says beyond what the layout implies, for the engines of one role. */
export interface EngineOverrides {
  /** Flags by name, `--…`: replace the generator's of that name or follow them; `true` writes the bare flag, `false` leaves it out. */
  readonly flags?: Readonly<Record<string, string | number | boolean>>;
  /** TensorRT-LLM: keys of its YAML, merged into the generated ones; `false` for a whole section leaves it out. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
}

/** By role. */
export type RoleOverrides = Readonly<Partial<Record<"prefill" | "decode" | "both", EngineOverrides>>>;

/** argv with flags replaced, added or left out. */
export function overrideFlags(
  argv: readonly string[],
  flags: Readonly<Record<string, string | number | boolean>> = {},
): string[] {
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (!(word in flags)) {
      words.push(word);
      continue;
    }
    const next = argv[at + 1];
    if (next !== undefined && !next.startsWith("--")) at += 1;
  }
  for (const [name, value] of Object.entries(flags))
    if (value !== false) words.push(name, ...(value === true ? [] : [String(value)]));
  return words;
}

/** Objects merged key by key; other values replace, `false` for a section leaves it out. */
export function mergeConfig(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    if (value === false && isSection(before)) delete merged[key];
    else merged[key] = isSection(before) && isSection(value) ? mergeConfig(before, value) : value;
  }
  return merged;
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
