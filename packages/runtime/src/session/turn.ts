/** A gate that one side opens and the other passes: openings before the pass are remembered as one. */
export interface Turn {
  /** Lets the waiting side go on, now or when it next waits. */
  open(): void;
  /** Resolves once opened since the last pass. One waiter at a time. */
  pass(): Promise<void>;
}

export function createTurn(): Turn {
  let isOpen = false;
  let waiting: (() => void) | undefined;
  return {
    open() {
      if (waiting === undefined) {
        isOpen = true;
        return;
      }
      const go = waiting;
      waiting = undefined;
      go();
    },
    pass() {
      if (isOpen) {
        isOpen = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
  };
}

/** Ends when the current turn of the event loop does: what is said until then goes into one message. */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Ends when all that follows from what was done before has run, as far as it needs no event. */
export function microtasksDone(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
