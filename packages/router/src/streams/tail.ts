/** What runs before a stream's steady part: yields what comes first, and returns the iterator of the rest. */
export type Prelude<T> = AsyncGenerator<T, AsyncIterator<T> | undefined>;

/**
 * A stream that begins as a generator and goes on as a plain iterator: the steady part costs no generator per layer and
 * token. What the prelude holds beyond its end is the rest's to free.
 */
export function withTail<T>(prelude: () => Prelude<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator](): AsyncIterator<T> {
      const head = prelude();
      let tail: AsyncIterator<T> | undefined;
      let isLeft = false;
      const leave = (): Promise<IteratorResult<T>> =>
        tail?.return?.() ?? Promise.resolve({ done: true, value: undefined });
      const handOver = (
        result: IteratorResult<T, AsyncIterator<T> | undefined>,
      ): IteratorResult<T> | Promise<IteratorResult<T>> => {
        if (result.done !== true) return result;
        tail = result.value;
        // Left while the prelude was still at it: what it opened for the rest is closed again.
        if (isLeft) return leave();
        return tail === undefined ? { done: true, value: undefined } : tail.next();
      };
      return {
        next: () => (tail === undefined ? head.next().then(handOver) : tail.next()),
        return() {
          isLeft = true;
          return tail === undefined ? head.return(undefined).then(leave) : leave();
        },
      };
    },
  };
}
