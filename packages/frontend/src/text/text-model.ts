import {
  defaultDeadlines,
  linkAbort,
  systemClock,
  type Clock,
  type Engine,
  type ModelCard,
} from "@stator/core";
import { createChoiceDecoder } from "./tokens/choice-decoder.ts";
import { createArtifactCache, type ModelArtifacts } from "./model-artifacts.ts";
import { createOffLoop, type OffLoop } from "./off-loop/off-loop.ts";
import { prepareText } from "./prepare-text.ts";
import { withoutReasoning, type OutputParser } from "./output/output-parser.ts";
import { createParsedDecoder } from "./output/parsed-decoder.ts";
import { chooseReasoning } from "./reasoning/formats.ts";
import type { ReasoningFormat, ReasoningFormatName } from "./reasoning/reasoning-format.ts";
import { runChoice, type ChoiceStep } from "./run-choice.ts";
import { chooseFormat } from "./tool-calls/formats/choose-format.ts";
import type { ToolCallFormat, ToolCallFormatName } from "./tool-calls/tool-call-format.ts";
import { toolUse, type ToolUse } from "./tool-calls/tool-use.ts";
import { revealTokens } from "./tokens/revealed-vocabulary.ts";
import type { Vocabulary } from "./tokens/vocabulary.ts";
import type { PreparedText, TextOptions, TextPart, TextRequest } from "./text-request.ts";

export interface TextModelOptions {
  /** The thread for long texts, when several models are to share one. Default: an own one, started on first use. */
  readonly offLoop?: OffLoop;
  /** How long a request waits for the model's first worker, ms. Default 8,000: `queueWaitMs` of the deadline table. */
  readonly workerWaitMs?: number;
  /** How the model writes calls to tools; `none`: they stay text. Default: as its chat template shows. */
  readonly toolCallFormat?: ToolCallFormatName | "none";
  /** How the model sets its thoughts apart from its answer; `none`: they stay text. Default: as its chat template shows. */
  readonly reasoningFormat?: ReasoningFormatName | "none";
  /** Default: the machine's. */
  readonly clock?: Clock;
}

/** An engine that speaks text: messages or a prompt in, text parts out. */
export interface TextModel {
  /** The engine's card; undefined until a worker is known. */
  readonly card: ModelCard | undefined;
  /** Text to ids and limits, checked against the model. Fetches the tokenizer on first use. */
  prepare(request: TextRequest, options: { readonly signal: AbortSignal }): Promise<PreparedText>;
  /** Runs one choice of a prepared request. */
  run(
    prepared: PreparedText,
    index: number,
    options: TextOptions,
  ): AsyncGenerator<ChoiceStep, void, undefined>;
  /** Both at once: all choices, their parts in the order they come; the last part has the usage. */
  generate(request: TextRequest, options?: Partial<TextOptions>): AsyncGenerator<TextPart, void, undefined>;
  close(): Promise<void>;
}

/**
 * Wraps an engine: chat template, tokenizer (both from the engine, by its card), detokenizer, stop strings, usage.
 *
 * @example
 * const model = createTextModel(engine);
 * for await (const part of model.generate({ prompt: { messages: [{ role: "user", content: "Hello" }] } })) {
 *   process.stdout.write(part.text);
 * }
 */
export function createTextModel(engine: Engine, options: TextModelOptions = {}): TextModel {
  const clock = options.clock ?? systemClock;
  const offLoop = options.offLoop ?? createOffLoop();
  const artifacts = createArtifactCache(engine, offLoop, {
    clock,
    workerWaitMs: options.workerWaitMs ?? defaultDeadlines.queueWaitMs,
  });
  const readings = new WeakMap<PreparedText, Reading>();
  const manners = new WeakMap<ModelArtifacts, Manner>();
  const mannerOf = (current: ModelArtifacts): Manner => {
    let manner = manners.get(current);
    if (manner === undefined) {
      const { chatTemplate } = current.card;
      const calling = chooseFormat(options.toolCallFormat, chatTemplate);
      const reasoning = chooseReasoning(options.reasoningFormat, chatTemplate);
      const vocabulary = revealTokens(current.vocabulary, reasoning?.markers ?? []);
      manner = {
        calling,
        reasoning,
        vocabulary,
        vocabularyOfCalls: revealTokens(vocabulary, calling?.markers ?? []),
      };
      manners.set(current, manner);
    }
    return manner;
  };

  const model: TextModel = {
    get card() {
      return engine.card;
    },
    async prepare(request, { signal }) {
      const current = await artifacts.current(signal);
      const isChat = "messages" in request.prompt;
      const manner = isChat ? mannerOf(current) : undefined;
      const tools = toolUse(request.prompt, current.card, manner?.calling);
      const grammar = tools?.grammar ?? request.grammar;
      const prepared = await prepareText(
        current,
        grammar === undefined ? request : { ...request, grammar },
        signal,
      );
      readings.set(prepared, {
        vocabulary:
          (tools === undefined ? manner?.vocabulary : manner?.vocabularyOfCalls) ?? current.vocabulary,
        tools,
        reasoning: manner?.reasoning,
        // An output that is held to a grammar begins with it, whatever the template wrote.
        promptEnd: grammar === undefined ? prepared.promptEnd : "",
      });
      return prepared;
    },
    run(prepared, index, runOptions) {
      const request = prepared.choices[index];
      const reading = readings.get(prepared);
      if (request === undefined || reading === undefined)
        throw new RangeError(`No choice ${index} was prepared by this model.`);
      const decoder = createChoiceDecoder({ vocabulary: reading.vocabulary, stop: prepared.stop });
      const parser = parserOf(reading);
      if (parser === undefined) return runChoice(engine, request, decoder, runOptions, clock);
      const isParallel = reading.tools?.isParallel ?? true;
      return runChoice(
        engine,
        request,
        createParsedDecoder({ decoder, parser, isParallel }),
        runOptions,
        clock,
      );
    },
    async *generate(request, generateOptions = {}) {
      const linked = linkAbort(generateOptions.signal);
      const { signal } = linked;
      let prepared: PreparedText;
      try {
        prepared = await model.prepare(request, { signal });
      } catch (error) {
        linked.unlink();
        throw error;
      }
      const { onEvent } = generateOptions;
      const runs = prepared.choices.map((choice, index) => ({
        choice: choice.choice,
        steps: model.run(prepared, index, { signal, ...(onEvent === undefined ? {} : { onEvent }) }),
      }));
      let completionTokens = 0;
      let cachedTokens = 0;
      let reasoningTokens = 0;
      let open = runs.length;
      try {
        for await (const { choice, step } of merged(runs)) {
          completionTokens += step.tokenCount;
          reasoningTokens += step.reasoningTokens ?? 0;
          if (choice === (request.firstChoice ?? 0)) cachedTokens = step.cachedTokens ?? cachedTokens;
          if (step.finish !== undefined) open--;
          for (const piece of step.pieces) yield { choice, ...piece };
          if (step.finish === undefined) continue;
          const { finish } = step;
          if (open > 0) yield { choice, text: "", finish };
          else
            yield {
              choice,
              text: "",
              finish,
              usage: { promptTokens: prepared.promptTokens, completionTokens, cachedTokens, reasoningTokens },
            };
        }
      } finally {
        linked.abort();
        linked.unlink();
      }
    },
    close: () => (options.offLoop === undefined ? offLoop.close() : Promise.resolve()),
  };
  return model;
}

/** How the output of a prepared request becomes thoughts, text and calls. */
interface Reading {
  readonly vocabulary: Vocabulary;
  readonly tools: ToolUse | undefined;
  readonly reasoning: ReasoningFormat | undefined;
  readonly promptEnd: string;
}

function parserOf({ tools, reasoning, promptEnd }: Reading): OutputParser | undefined {
  const calls = tools?.createParser();
  if (reasoning !== undefined) return reasoning.createParser({ promptEnd, calls });
  return calls === undefined ? undefined : withoutReasoning(calls);
}

/** How a model writes calls and thoughts, and the vocabularies in which their marks are text. */
interface Manner {
  readonly calling: ToolCallFormat | undefined;
  readonly reasoning: ReasoningFormat | undefined;
  readonly vocabulary: Vocabulary;
  readonly vocabularyOfCalls: Vocabulary;
}

interface Run {
  readonly choice: number;
  readonly steps: AsyncGenerator<ChoiceStep, void, undefined>;
}

/** The steps of all runs as they come; each run has at most one step waiting. */
async function* merged(
  runs: readonly Run[],
): AsyncGenerator<{ choice: number; step: ChoiceStep }, void, undefined> {
  const pull = async (run: Run): Promise<{ run: Run; result: IteratorResult<ChoiceStep, void> }> => ({
    run,
    result: await run.steps.next(),
  });
  const waiting = new Map(runs.map((run) => [run, pull(run)]));
  try {
    while (waiting.size > 0) {
      const { run, result } = await Promise.race(waiting.values());
      waiting.delete(run);
      if (result.done === true) continue;
      waiting.set(run, pull(run));
      yield { choice: run.choice, step: result.value };
    }
  } finally {
    for (const promise of waiting.values()) promise.catch(() => {});
    for (const { steps } of runs) steps.return().catch(() => {});
  }
}
