/** As much of JSON Schema as the committed schemas use. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
}

/** Everything in which a value departs from a schema, each with its path; empty when it is valid. */
export function schemaProblems(
  value: unknown,
  schema: JsonSchema,
  definitions: Readonly<Record<string, JsonSchema>>,
  at = "",
): string[] {
  if (schema.$ref !== undefined) {
    const target = definitions[schema.$ref.replace("#/$defs/", "")];
    return target === undefined
      ? [`${at}: no definition ${schema.$ref}`]
      : schemaProblems(value, target, definitions, at);
  }
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return [`${at}: ${JSON.stringify(value)} is none of ${schema.enum.join(", ")}`];
  if (schema.type !== undefined && ![schema.type].flat().some((type) => isOf(value, type)))
    return [`${at}: ${JSON.stringify(value)} is no ${[schema.type].flat().join(" or ")}`];
  if (Array.isArray(value))
    return schema.items === undefined
      ? []
      : value.flatMap((item, index) =>
          schemaProblems(item, schema.items ?? {}, definitions, `${at}[${index}]`),
        );
  if (typeof value !== "object" || value === null) return [];
  const entries = Object.entries(value);
  const missing = (schema.required ?? []).filter((key) => !(key in value));
  return [
    ...missing.map((key) => `${at}: lacks ${key}`),
    ...entries.flatMap(([key, item]) => {
      const known = schema.properties?.[key];
      if (known !== undefined) return schemaProblems(item, known, definitions, `${at}.${key}`);
      if (schema.additionalProperties === false) return [`${at}: knows no ${key}`];
      return typeof schema.additionalProperties === "object"
        ? schemaProblems(item, schema.additionalProperties, definitions, `${at}.${key}`)
        : [];
    }),
  ];
}

function isOf(value: unknown, type: string): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}
