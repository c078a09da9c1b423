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
import { runChoice, type ChoiceStep } from "./run-choice.ts";
import { chooseFormat } from "./tool-calls/formats/choose-format.ts";
import { readToolCalls } from "./tool-calls/read-tool-calls.ts";
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
  const callings = new WeakMap<ModelArtifacts, Calling>();
  const callingOf = (current: ModelArtifacts): Calling => {
    let calling = callings.get(current);
    if (calling === undefined) {
      const format = chooseFormat(options.toolCallFormat, current.card.chatTemplate);
      const vocabulary =
        format === undefined ? current.vocabulary : revealTokens(current.vocabulary, format.markers);
      calling = { format, vocabulary };
      callings.set(current, calling);
    }
    return calling;
  };

  const model: TextModel = {
    get card() {
      return engine.card;
    },
    async prepare(request, { signal }) {
      const current = await artifacts.current(signal);
      const hasTools = "messages" in request.prompt && request.prompt.tools !== undefined;
      const calling = hasTools ? callingOf(current) : undefined;
      const tools = toolUse(request.prompt, current.card, calling?.format);
      const grammar = tools?.grammar;
      const prepared = await prepareText(
        current,
        grammar === undefined ? request : { ...request, grammar },
        signal,
      );
      const vocabulary = tools === undefined ? current.vocabulary : calling!.vocabulary;
      readings.set(prepared, { vocabulary, tools });
      return prepared;
    },
    run(prepared, index, runOptions) {
      const request = prepared.choices[index];
      const reading = readings.get(prepared);
      if (request === undefined || reading === undefined)
        throw new RangeError(`No choice ${index} was prepared by this model.`);
      const decoder = createChoiceDecoder({ vocabulary: reading.vocabulary, stop: prepared.stop });
      const { tools } = reading;
      if (tools === undefined) return runChoice(engine, request, decoder, runOptions, clock);
      const parser = tools.createParser();
      const isEnough = tools.isParallel ? undefined : () => parser.callCount > 0;
      return readToolCalls(
        runChoice(engine, request, decoder, runOptions, clock, isEnough),
        parser,
        isEnough,
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
      let open = runs.length;
      try {
        for await (const { choice, step } of merged(runs)) {
          completionTokens += step.tokenCount;
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
              usage: { promptTokens: prepared.promptTokens, completionTokens, cachedTokens },
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

/** How the output of a prepared request becomes text and calls. */
interface Reading {
  readonly vocabulary: Vocabulary;
  readonly tools: ToolUse | undefined;
}

/** How a model writes calls, and the vocabulary in which their marks are text. */
interface Calling {
  readonly format: ToolCallFormat | undefined;
  readonly vocabulary: Vocabulary;
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
