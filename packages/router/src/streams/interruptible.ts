/** An iterator whose waits can be ended from outside, whether or not what it waits for cooperates. */
export interface Interruptible<T> {
  next(): Promise<IteratorResult<T>>;
  /** Fails the wait in progress and every later one. The first reason stays. */
  interrupt(reason: unknown): void;
  /** Lets the inner iterator go, without waiting for it. Idempotent. */
  close(): void;
}

/** Wraps one run of `iterable`. */
export function interruptible<T>(iterable: AsyncIterable<T>): Interruptible<T> {
  const iterator = iterable[Symbol.asyncIterator]();
  let failure: { readonly reason: unknown } | undefined;
  let fail: ((reason: unknown) => void) | undefined;
  let isEnded = false;

  return {
    next() {
      return new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure.reason as Error);
          return;
        }
        fail = reject;
        iterator.next().then(
          (result) => {
            if (result.done === true) isEnded = true;
            resolve(result);
          },
          (error: unknown) => {
            isEnded = true;
            reject(error as Error);
          },
        );
      });
    },
    interrupt(reason) {
      failure ??= { reason };
      fail?.(failure.reason);
    },
    close() {
      if (isEnded) return;
      isEnded = true;
      // A hung engine may never answer; its rejection, if it comes at all, has no reader.
      iterator.return?.().catch(() => {});
    },
  };
}
