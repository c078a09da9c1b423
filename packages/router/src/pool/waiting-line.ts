import type { Clock } from "@stator/core";

/** Requests that wait for a worker, in order of priority and arrival. */
export interface WaitingLine {
  readonly length: number;
  /**
   * Waits until `attempt` gives something. `attempt` is called on each `wake`, in turn.
   *
   * @param expired makes the error for when `waitMs` are over.
   */
  wait<T>(options: {
    readonly priority: number;
    readonly waitMs: number;
    readonly signal: AbortSignal;
    readonly attempt: () => T | undefined;
    readonly expired: () => Error;
  }): Promise<T>;
  /** Something changed: a worker joined, came back or has room. */
  wake(): void;
  /** Fails everyone. */
  close(reason: Error): void;
}

interface Waiter {
  readonly priority: number;
  readonly order: number;
  /** True when it got what it waits for. */
  readonly serve: () => boolean;
  readonly fail: (reason: Error) => void;
}

/** So many refusals in a row end one round: the rest of the line wants the same workers. */
const mostRefusals = 16;

export function createWaitingLine(clock: Clock): WaitingLine {
  const line: Waiter[] = [];
  let order = 0;
  let isRoundDue = false;

  const remove = (waiter: Waiter): void => {
    const at = line.indexOf(waiter);
    if (at >= 0) line.splice(at, 1);
  };
  const round = (): void => {
    isRoundDue = false;
    let refusals = 0;
    for (const waiter of [...line]) {
      if (waiter.serve()) continue;
      refusals += 1;
      if (refusals >= mostRefusals) return;
    }
  };

  return {
    get length() {
      return line.length;
    },
    wait({ priority, waitMs, signal, attempt, expired }) {
      return new Promise((resolve, reject) => {
        const end = (): void => {
          remove(waiter);
          timer.cancel();
          signal.removeEventListener("abort", onAbort);
        };
        const waiter: Waiter = {
          priority,
          order: order++,
          serve() {
            try {
              const got = attempt();
              if (got === undefined) return false;
              end();
              resolve(got);
            } catch (error) {
              end();
              reject(error as Error);
            }
            return true;
          },
          fail(reason) {
            end();
            reject(reason);
          },
        };
        const onAbort = (): void => waiter.fail(signal.reason as Error);
        const timer = clock.schedule(waitMs, () => waiter.fail(expired()));
        signal.addEventListener("abort", onAbort, { once: true });
        const at = line.findIndex((other) => other.priority < priority);
        line.splice(at < 0 ? line.length : at, 0, waiter);
      });
    },
    wake() {
      if (isRoundDue || line.length === 0) return;
      isRoundDue = true;
      queueMicrotask(round);
    },
    close(reason) {
      for (const waiter of [...line]) waiter.fail(reason);
    },
  };
}
