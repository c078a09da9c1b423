import { FrontendError } from "../../errors.ts";
import { parse, tokenize, type JinjaNode } from "./jinja-library.ts";
import { renderTemplate } from "./python-interpreter.ts";

/** One message as chat templates know them: `content` is text; tool calls carry parsed arguments. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string | undefined;
  /** On an `assistant` message: what it thought before it answered. Templates decide which thoughts the model sees again. */
  readonly reasoning?: string;
  readonly name?: string;
  readonly toolCalls?: readonly ChatToolCall[];
  /** On a `tool` message: which call it answers. */
  readonly toolCallId?: string;
}

export interface ChatToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, as OpenAI has it. Templates get the parsed object where it is one. */
  readonly arguments: string;
}

interface ChatTemplateInput {
  readonly messages: readonly ChatMessage[];
  /** OpenAI's `tools`, handed to the template as they are. */
  readonly tools?: readonly unknown[];
  /** Further template variables (`enable_thinking` and the like). */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** Ends the prompt where the assistant's turn begins. Default true. */
  readonly addGenerationPrompt?: boolean;
}

export interface ChatTemplate {
  /** @throws FrontendError `FRONTEND_TEMPLATE_FAILED`: the template refused these messages, in its own words. */
  render(input: ChatTemplateInput): string;
}

/** Compiles a Jinja chat template. `bos` and `eos` are the texts it writes as `bos_token` and `eos_token`. */
export function createChatTemplate(source: string, bos: string, eos: string): ChatTemplate {
  let program: JinjaNode;
  try {
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw new FrontendError({
      code: "FRONTEND_TEMPLATE_FAILED",
      kind: "incompatible",
      message: `The model's chat template does not parse: ${(cause as Error).message}`,
      cause,
    });
  }
  return {
    render(input) {
      try {
        return renderTemplate(program, {
          ...input.variables,
          messages: templateMessages(input.messages),
          ...(input.tools === undefined ? {} : { tools: input.tools }),
          add_generation_prompt: input.addGenerationPrompt ?? true,
          bos_token: bos,
          eos_token: eos,
        });
      } catch (cause) {
        throw new FrontendError({
          code: "FRONTEND_TEMPLATE_FAILED",
          kind: "invalid",
          message: `The model's chat template refused these messages: ${(cause as Error).message.slice(0, 300)}`,
          cause,
          data: { param: "messages" },
        });
      }
    },
  };
}

/** Results of tools get the name of the call they answer: OpenAI's clients leave it out, and Hermes' templates want it. */
function templateMessages(messages: readonly ChatMessage[]): Record<string, unknown>[] {
  const called = new Map<string, string>();
  return messages.map((message) => {
    for (const call of message.toolCalls ?? []) called.set(call.id, call.name);
    const name =
      message.name ?? (message.toolCallId === undefined ? undefined : called.get(message.toolCallId));
    return templateMessage(message, name);
  });
}

function templateMessage(message: ChatMessage, name: string | undefined): Record<string, unknown> {
  return {
    role: message.role,
    content: message.content ?? "",
    ...reasoningFields(message),
    ...(name === undefined ? {} : { name }),
    ...(message.toolCallId === undefined ? {} : { tool_call_id: message.toolCallId }),
    ...(message.toolCalls === undefined
      ? {}
      : {
          tool_calls: message.toolCalls.map((call) => ({
            id: call.id,
            type: "function",
            function: { name: call.name, arguments: parsedArguments(call.arguments) },
          })),
        }),
  };
}

/**
 * Thoughts by both names that templates read: `reasoning_content` (DeepSeek, Qwen3, GLM, Kimi) and `thinking` (gpt-oss, which refuses it
 * beside content where calls follow).
 */
function reasoningFields({ content, reasoning, toolCalls }: ChatMessage): Record<string, unknown> {
  if (reasoning === undefined) return {};
  const hasBoth = toolCalls !== undefined && content !== undefined && content !== "";
  return hasBoth ? { reasoning_content: reasoning } : { reasoning_content: reasoning, thinking: reasoning };
}

function parsedArguments(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : text;
  } catch {
    return text;
  }
}
