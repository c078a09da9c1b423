import type { Clock, Timer } from "@stator/core";

/** Requests that wait for a worker, in order of priority and arrival. */
export interface WaitingLine {
  readonly length: number;
  /**
   * Waits until `attempt` gives something. `attempt` is called on each `wake`, in turn.
   *
   * @param expired makes the error for when `waitMs` are over; undefined: it waits as long again.
   */
  wait<T>(options: {
    readonly priority: number;
    readonly waitMs: number;
    readonly signal: AbortSignal;
    readonly attempt: () => T | undefined;
    readonly expired: () => Error | undefined;
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

/** So many refusals end one look at the line: the rest mostly wants the same workers, and is looked at after a pause. */
const mostRefusals = 16;
const pauseMs = 5;

export function createWaitingLine(clock: Clock): WaitingLine {
  const line: Waiter[] = [];
  let order = 0;
  let isRoundDue = false;
  /** How many from the front on were asked since the last change and refused: those behind may suit what there is. */
  let asked = 0;
  let pause: Timer | undefined;

  const remove = (waiter: Waiter): void => {
    const at = line.indexOf(waiter);
    if (at >= 0) line.splice(at, 1);
  };
  /** Asks from there on; returns how many of the line were asked once so many refused. */
  const ask = (from: number): number => {
    let refusals = 0;
    for (const waiter of line.slice(from)) {
      if (waiter.serve()) continue;
      refusals += 1;
      if (refusals === mostRefusals) return from + refusals;
    }
    return line.length;
  };
  const goOn = (reached: number): void => {
    asked = reached;
    if (asked < line.length) pause ??= clock.schedule(pauseMs, behind);
  };
  /** Whoever is in front comes first, at every change. */
  const front = (): void => {
    isRoundDue = false;
    const reached = ask(0);
    goOn(pause === undefined ? reached : Math.max(asked, reached));
  };
  const behind = (): void => {
    pause = undefined;
    goOn(ask(asked));
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
        const expire = (): void => {
          const error = expired();
          if (error === undefined) timer = clock.schedule(waitMs, expire);
          else waiter.fail(error);
        };
        let timer = clock.schedule(waitMs, expire);
        signal.addEventListener("abort", onAbort, { once: true });
        const at = line.findIndex((other) => other.priority < priority);
        line.splice(at < 0 ? line.length : at, 0, waiter);
      });
    },
    wake() {
      if (isRoundDue || line.length === 0) return;
      isRoundDue = true;
      queueMicrotask(front);
    },
    close(reason) {
      pause?.cancel();
      for (const waiter of [...line]) waiter.fail(reason);
    },
  };
}
