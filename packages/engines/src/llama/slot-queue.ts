import { queueFull } from "../errors/queue-full.ts";

/** Who may work: at most `slots` at once, the others wait by priority, then by arrival. */
export interface SlotQueue {
  readonly running: number;
  readonly waiting: number;
  /** Whether another one may wait. */
  readonly isFull: boolean;
  /** Resolves when it is this one's turn. @throws EnginesError `ENGINES_QUEUE_FULL`, or the signal's reason */
  enter(priority: number, signal: AbortSignal): Promise<void>;
  leave(): void;
}

interface Waiter {
  readonly priority: number;
  readonly resolve: () => void;
}

export function createSlotQueue(slots: number, maxWaiting: number): SlotQueue {
  const waiters: Waiter[] = [];
  let running = 0;
  return {
    get running() {
      return running;
    },
    get waiting() {
      return waiters.length;
    },
    get isFull() {
      return running >= slots && waiters.length >= maxWaiting;
    },
    async enter(priority, signal) {
      signal.throwIfAborted();
      if (running < slots) {
        running++;
        return;
      }
      if (waiters.length >= maxWaiting) {
        throw queueFull(maxWaiting);
      }
      await new Promise<void>((resolve, reject) => {
        const waiter: Waiter = {
          priority,
          resolve: () => {
            signal.removeEventListener("abort", onAbort);
            resolve();
          },
        };
        const onAbort = (): void => {
          waiters.splice(waiters.indexOf(waiter), 1);
          reject(signal.reason as Error);
        };
        signal.addEventListener("abort", onAbort, { once: true });
        let at = waiters.length;
        while (at > 0 && waiters[at - 1]!.priority < priority) at--;
        waiters.splice(at, 0, waiter);
      });
    },
    leave() {
      const next = waiters.shift();
      if (next === undefined) running--;
      else next.resolve();
    },
  };
}
