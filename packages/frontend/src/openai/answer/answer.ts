import { extended, type Clock, type RequestObserver } from "@stator/core";
import type { PreparedText, TextUsage } from "../../text/text-request.ts";
import type { ChoiceStep } from "../../text/run-choice.ts";
import type { TextModel } from "../../text/text-model.ts";
import {
  doneEvent,
  finishReasonOf,
  keepAliveEvent,
  type AnswerHead,
  type AnswerShape,
  type FinishedChoice,
} from "./answer-shape.ts";
import { createChoiceGatherer } from "./gather-choice.ts";
import type { OpenAIRequest } from "../request/chat-request.ts";
import type { EventSink } from "../exchange.ts";

/** A request on its way to its answer. */
export interface AnswerJob {
  readonly model: TextModel;
  readonly request: OpenAIRequest;
  readonly head: AnswerHead;
  readonly shape: AnswerShape;
  readonly signal: AbortSignal;
  readonly onEvent: RequestObserver | undefined;
  readonly clock: Clock;
  readonly keepAliveMs: number;
  /** Ends the work of all choices when one has failed. */
  abort(reason: unknown): void;
}

interface RunningChoice {
  readonly prepared: PreparedText;
  readonly at: number;
  /** Index in the answer. */
  readonly index: number;
}

interface Counts {
  completionTokens: number;
  cachedTokens: number;
  reasoningTokens: number;
}

/** Prompts to ids: everything that can be wrong with a request shows here, before any engine is asked. */
export async function prepareAnswer(job: AnswerJob): Promise<readonly PreparedText[]> {
  const { model, request, head, signal } = job;
  return Promise.all(
    request.prompts.map((prompt, i) =>
      model.prepare(
        extended(request.text, {
          id: i === 0 ? head.id : `${head.id}-${i}`,
          prompt,
          n: request.n,
          firstChoice: i * request.n,
        }),
        { signal },
      ),
    ),
  );
}

/** Runs everything and returns the body. */
export async function wholeAnswer(job: AnswerJob, prepared: readonly PreparedText[]): Promise<unknown> {
  const counts: Counts = { completionTokens: 0, cachedTokens: 0, reasoningTokens: 0 };
  const choices = await all(job, prepared, async ({ prepared: one, at, index }): Promise<FinishedChoice> => {
    const gatherer = createChoiceGatherer(index);
    for await (const step of run(job, one, at)) {
      count(counts, step, at);
      for (const piece of step.pieces) gatherer.add(piece);
      if (step.finish !== undefined) return gatherer.finish(step.finish);
    }
    throw new Error("A choice ended without a finish.");
  });
  return job.shape.whole(job.head, choices, usageOf(prepared, counts));
}

/**
 * Runs everything into an event stream. `open` is called when the first choice has something to say, so that what fails
 * before is answered with a status of its own; and after `keepAliveMs` without a word, when a comment tells proxies and
 * clients that a long prefill or a pause is not the end.
 */
export async function streamAnswer(
  job: AnswerJob,
  prepared: readonly PreparedText[],
  open: () => EventSink,
): Promise<void> {
  const { head, shape, clock, keepAliveMs } = job;
  const counts: Counts = { completionTokens: 0, cachedTokens: 0, reasoningTokens: 0 };
  let sink: EventSink | undefined;
  let isQuiet = true;
  const beat = (): void => {
    if (isQuiet) (sink ??= open()).write(keepAliveEvent, true);
    isQuiet = true;
    timer = clock.schedule(keepAliveMs, beat);
  };
  let timer = clock.schedule(keepAliveMs, beat);
  const choices = all(job, prepared, async ({ prepared: one, at, index }) => {
    const writer = shape.choiceWriter(head, index);
    let isFirst = true;
    for await (const step of run(job, one, at)) {
      sink ??= open();
      count(counts, step, at);
      let events = isFirst ? writer.open() : "";
      for (const piece of step.pieces) events += writer.piece(piece);
      if (step.finish !== undefined) events += writer.finish(finishReasonOf(step.finish));
      if (events !== "") {
        sink.write(events, isFirst);
        isQuiet = false;
      }
      isFirst = false;
      const room = sink.room();
      if (room !== undefined) await room;
    }
  });
  try {
    await choices;
  } finally {
    timer.cancel();
  }
  if (sink === undefined) return;
  if (head.includeUsage) sink.write(shape.usageEvent(head, usageOf(prepared, counts)));
  sink.write(doneEvent);
  sink.end();
}

/** Each choice on its own; when one fails the others are ended, and the first failure is the answer's. */
async function all<T>(
  job: AnswerJob,
  prepared: readonly PreparedText[],
  each: (choice: RunningChoice) => Promise<T>,
): Promise<T[]> {
  const choices: RunningChoice[] = [];
  for (const one of prepared)
    for (const at of one.choices.keys()) choices.push({ prepared: one, at, index: choices.length });
  let failed: { error: unknown } | undefined;
  const results = await Promise.allSettled(
    choices.map(async (choice) => {
      try {
        return await each(choice);
      } catch (error) {
        failed ??= { error };
        job.abort(error);
        throw error;
      }
    }),
  );
  if (failed !== undefined) throw failed.error;
  return results.map((result) => (result as PromiseFulfilledResult<T>).value);
}

function run(job: AnswerJob, prepared: PreparedText, at: number): ReturnType<TextModel["run"]> {
  return job.model.run(prepared, at, {
    signal: job.signal,
    ...(job.onEvent === undefined ? {} : { onEvent: job.onEvent }),
  });
}

function count(counts: Counts, step: ChoiceStep, at: number): void {
  counts.completionTokens += step.tokenCount;
  if (step.reasoningTokens !== undefined) counts.reasoningTokens += step.reasoningTokens;
  if (at === 0 && step.cachedTokens !== undefined) counts.cachedTokens += step.cachedTokens;
}

function usageOf(prepared: readonly PreparedText[], counts: Counts): TextUsage {
  return { promptTokens: prepared.reduce((sum, one) => sum + one.promptTokens, 0), ...counts };
}
