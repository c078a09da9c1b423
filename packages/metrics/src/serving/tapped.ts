import type { TokenBatch } from "@stator/core";

/** What is called as a stream goes by. */
export interface Tap {
  onBatch(batch: TokenBatch): void;
  onError(error: unknown): void;
  /** Once, at the final batch, the end, an error, or when the reader leaves. */
  onEnd(): void;
}

/**
 * `stream` with a look at each batch: one promise per batch, where a generator would take three. A stream is complete
 * with its final batch, so `onEnd` is called then: nobody has to come back for what follows it.
 */
export function tapped(stream: AsyncIterable<TokenBatch>, tap: Tap): AsyncIterable<TokenBatch> {
  return {
    [Symbol.asyncIterator]() {
      const inner = stream[Symbol.asyncIterator]();
      let isEnded = false;
      const end = (): void => {
        if (isEnded) return;
        isEnded = true;
        tap.onEnd();
      };
      const onResult = (result: IteratorResult<TokenBatch>): IteratorResult<TokenBatch> => {
        if (isEnded) return result;
        if (result.done === true) end();
        else {
          tap.onBatch(result.value);
          if (result.value.finish !== undefined) end();
        }
        return result;
      };
      const onError = (error: unknown): never => {
        if (!isEnded) tap.onError(error);
        end();
        throw error;
      };
      return {
        next: () => inner.next().then(onResult, onError),
        return: async (value?: unknown) => {
          end();
          await inner.return?.();
          return { done: true, value };
        },
      };
    },
  };
}
