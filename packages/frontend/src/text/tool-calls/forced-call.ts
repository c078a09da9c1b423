import type { Grammar } from "@stator/core";
import { createFramedParser, type CallFrame } from "./reading/framed-parser.ts";
import { createJsonCallReader } from "./reading/json-call-reader.ts";
import type { CallableTools, ToolCallParser } from "./tool-call-format.ts";

/** One tool of a request, as far as a forced call needs it. */
export interface CallableTool {
  readonly name: string;
  /** JSON schema of the arguments. Absent: any object. */
  readonly parameters: unknown;
}

/** Nothing but the call: what the grammar lets the model write, whatever its own format is. */
const frame: CallFrame = {
  openers: [],
  callStart: "",
  bareStart: "{",
  listStart: "",
  between: "",
  closers: [],
  begins: (character) => character === "{",
  createReader: createJsonCallReader,
};

/** The grammar that lets an engine write exactly one call to one of `tools`. */
export function forcedCallGrammar(tools: readonly CallableTool[]): Grammar {
  const [only] = tools;
  const schema =
    tools.length === 1
      ? callSchema(only!, "#")
      : { anyOf: tools.map((tool, i) => callSchema(tool, `#/anyOf/${i}`)) };
  return { kind: "jsonSchema", source: JSON.stringify(schema) };
}

/** The parser of an output that `forcedCallGrammar` holds. */
export function forcedCallParser(tools: CallableTools, createId: () => string): ToolCallParser {
  return createFramedParser({ frame, tools, createId });
}

function callSchema({ name, parameters }: CallableTool, at: string): Record<string, unknown> {
  return {
    type: "object",
    properties: {
      name: { const: name },
      arguments:
        parameters === undefined ? { type: "object" } : moved(parameters, `${at}/properties/arguments`),
    },
    required: ["name", "arguments"],
    additionalProperties: false,
  };
}

/** A schema whose references into itself (`#/$defs/…`) hold after it became a part of a larger one. */
function moved(schema: unknown, at: string): unknown {
  if (Array.isArray(schema)) return schema.map((one) => moved(one, at));
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]: [string, unknown]) => [
      key,
      key === "$ref" && typeof value === "string" && (value === "#" || value.startsWith("#/"))
        ? at + value.slice(1)
        : moved(value, at),
    ]),
  );
}
