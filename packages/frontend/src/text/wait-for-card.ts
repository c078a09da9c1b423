import { cancelled, type Clock, type Engine, type ModelCard } from "@stator/core";

const everyMs = 20;

/**
 * The engine's card; waits for it when no worker is known. A frontend that has just started learns of its workers in this
 * time, and a lone worker that died is back.
 *
 * @returns undefined when none came within `waitMs`.
 * @throws StatorError of kind `cancelled` when `signal` was aborted.
 */
export function waitForCard(
  engine: Engine,
  waitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<ModelCard | undefined> {
  const untilMs = clock.now() + waitMs;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (signal.aborted) reject(cancelled(signal));
      else if (engine.card !== undefined || clock.now() >= untilMs) resolve(engine.card);
      else clock.schedule(Math.min(everyMs, untilMs - clock.now()), look);
    };
    look();
  });
}
