import type { Grammar, ModelCard } from "@stator/core";
import { FrontendError, invalidParam } from "../../errors.ts";
import type { TextPrompt } from "../text-request.ts";
import { createCallId } from "./call-id.ts";
import { forcedCallGrammar, forcedCallParser, type CallableTool } from "./forced-call.ts";
import type { ToolCallFormat, ToolCallParser } from "./tool-call-format.ts";

/** How the calls of one request are read. */
export interface ToolUse {
  createParser(): ToolCallParser;
  /** What the engine must be held to, when a call is forced. */
  readonly grammar: Grammar | undefined;
  /** One answer may make several calls. */
  readonly isParallel: boolean;
}

/**
 * What a request's tools ask for; undefined when it has none, and when its model's calls are of no known format and none is forced.
 *
 * @throws FrontendError `FRONTEND_PARAM_UNSUPPORTED`: a call is forced on an engine that cannot be held to a JSON schema;
 *   `FRONTEND_PARAM_INVALID`: on tools that are not there.
 */
export function toolUse(
  prompt: TextPrompt,
  card: ModelCard,
  format: ToolCallFormat | undefined,
): ToolUse | undefined {
  if (!("messages" in prompt)) return undefined;
  const { tools = [], toolChoice = "auto", parallelToolCalls: isParallel = true } = prompt;
  const callable = tools.map(callableTool).filter((tool) => tool !== undefined);
  const known = new Map(callable.map(({ name, parameters }) => [name, parameters]));
  if (toolChoice === "auto") {
    if (format === undefined || tools.length === 0) return undefined;
    return { createParser: () => format.createParser(known), grammar: undefined, isParallel };
  }
  const forced =
    toolChoice === "required"
      ? callable
      : callable.filter(({ name }) => name === toolChoice.name).slice(0, 1);
  if (forced.length === 0) {
    throw invalidParam(
      "tool_choice",
      toolChoice === "required"
        ? 'tool_choice "required" needs tools of type "function" to choose from.'
        : `tool_choice names ${JSON.stringify(toolChoice.name.slice(0, 64))}, which is none of the tools.`,
    );
  }
  if (card.grammars?.includes("jsonSchema") !== true) {
    throw new FrontendError({
      code: "FRONTEND_PARAM_UNSUPPORTED",
      kind: "invalid",
      message: `tool_choice must be "auto" or "none": the engine of model ${card.model} cannot be held to a JSON schema, so it cannot force a call.`,
      data: { param: "tool_choice" },
    });
  }
  const createId = format?.createId ?? createCallId;
  return {
    createParser: () => forcedCallParser(known, createId),
    grammar: forcedCallGrammar(forced),
    isParallel,
  };
}

function callableTool(tool: unknown): CallableTool | undefined {
  const { type, function: callee } = (tool ?? {}) as {
    readonly type?: unknown;
    readonly function?: { readonly name?: unknown; readonly parameters?: unknown } | null;
  };
  if (type !== "function" || typeof callee?.name !== "string" || callee.name === "") return undefined;
  return { name: callee.name, parameters: callee.parameters ?? undefined };
}
