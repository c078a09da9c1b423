type JsonType = "string" | "number" | "boolean" | "null" | "object" | "array";

const namedTypes: Readonly<Record<string, JsonType>> = {
  string: "string",
  integer: "number",
  number: "number",
  boolean: "boolean",
  null: "null",
  object: "object",
  array: "array",
};

/** What a tool's schema says of one argument. */
export function argumentSchema(parameters: unknown, key: string): unknown {
  const { properties } = (parameters ?? {}) as { readonly properties?: Readonly<Record<string, unknown>> };
  return typeof properties === "object" && properties !== null && Object.hasOwn(properties, key)
    ? properties[key]
    : undefined;
}

/** Whether an argument is a string, whatever is written for it. */
export function isString(schema: unknown): boolean {
  const types = typesOf(schema);
  return types.size === 1 && types.has("string");
}

/**
 * A value that a model wrote bare, as JSON: by the argument's schema where that tells, else as what it looks like. What fits
 * nothing is a string.
 */
export function valueAsJson(text: string, schema: unknown): string {
  const types = typesOf(schema);
  const fits = (type: JsonType): boolean => types.size === 0 || types.has(type);
  const bare = pythonWords.get(text.trim()) ?? text.trim();
  try {
    const type = typeOf(JSON.parse(bare));
    // A JSON string counts as such only where no string is expected: one that is may well have quotes of its own.
    if (type !== "string" && fits(type)) return bare;
    if (type === "string" && types.size > 0 && !types.has("string")) return bare;
  } catch {
    // No JSON: a string.
  }
  return JSON.stringify(text);
}

const pythonWords: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
]);

function typesOf(schema: unknown): ReadonlySet<JsonType> {
  const types = new Set<JsonType>();
  if (typeof schema !== "object" || schema === null) return types;
  const { type, anyOf, oneOf, enum: values } = schema as Readonly<Record<string, unknown>>;
  for (const name of Array.isArray(type) ? (type as unknown[]) : [type]) {
    const known = typeof name === "string" ? namedTypes[name] : undefined;
    if (known !== undefined) types.add(known);
  }
  if (types.size === 0 && Array.isArray(values)) for (const value of values) types.add(typeOf(value));
  for (const options of [anyOf, oneOf]) {
    if (!Array.isArray(options)) continue;
    for (const option of options as unknown[]) for (const one of typesOf(option)) types.add(one);
  }
  return types;
}

function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value as JsonType;
}
