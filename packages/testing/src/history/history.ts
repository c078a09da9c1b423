import {
  StatorError,
  wrapEngine,
  type Engine,
  type Finish,
  type GenerateOptions,
  type GenerateRequest,
  type TokenBatch,
} from "@stator/core";

/** One operation, in the order of the recorder. */
export type HistoryEntry = { readonly request: string; readonly choice: number; readonly atMs: number } & (
  | { readonly type: "admitted"; readonly from: number; readonly maxTokens: number }
  | { readonly type: "tokens"; readonly firstIndex: number; readonly ids: readonly number[] }
  | { readonly type: "finished"; readonly finish: Finish }
  | { readonly type: "failed"; readonly code: string; readonly kind: string }
  | { readonly type: "cancelled" }
);

/** Records what clients of an engine see, to be checked against the invariants afterwards. */
export interface History {
  readonly entries: readonly HistoryEntry[];
  /** The engine, recorded. */
  record(engine: Engine): Engine;
}

export function createHistory(now: () => number = () => performance.now()): History {
  const entries: HistoryEntry[] = [];

  async function* generate(
    engine: Engine,
    request: GenerateRequest,
    options: GenerateOptions,
  ): AsyncGenerator<TokenBatch> {
    const base = (): { request: string; choice: number; atMs: number } => ({
      request: request.id,
      choice: request.choice,
      atMs: now(),
    });
    entries.push({
      ...base(),
      type: "admitted",
      from: request.outputIds.length,
      maxTokens: request.limits.maxTokens,
    });
    let isOver = false;
    try {
      for await (const batch of engine.generate(request, options)) {
        if (batch.ids.length > 0)
          entries.push({ ...base(), type: "tokens", firstIndex: batch.firstIndex, ids: [...batch.ids] });
        if (batch.finish !== undefined) {
          entries.push({ ...base(), type: "finished", finish: batch.finish });
          isOver = true;
        }
        yield batch;
      }
      // Ending without a final batch leaves the request without a terminal entry, which the checker reports.
      isOver = true;
    } catch (error) {
      const { code, kind } = StatorError.from(error);
      entries.push(
        kind === "cancelled" ? { ...base(), type: "cancelled" } : { ...base(), type: "failed", code, kind },
      );
      isOver = true;
      throw error;
    } finally {
      if (!isOver) entries.push({ ...base(), type: "cancelled" });
    }
  }

  return {
    entries,
    record: (engine) =>
      wrapEngine(engine, { generate: (request, options) => generate(engine, request, options) }),
  };
}
