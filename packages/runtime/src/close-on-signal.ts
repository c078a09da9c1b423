/** What ends in order: a server, a runtime, a supervisor. */
export interface Closable {
  /** Takes nothing new, finishes what runs. */
  drain?(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Waits for SIGINT or SIGTERM, then drains all in the given order, then closes all in that order. A second signal ends
 * the process at once with status 1. For main files: libraries install no signal handlers.
 *
 * @returns the signal, once everything is closed.
 */
export async function closeOnSignal(...closables: readonly Closable[]): Promise<NodeJS.Signals> {
  // Signal handlers alone do not keep a process alive.
  const alive = setInterval(() => {}, 2 ** 30);
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  const hurry = (): void => process.exit(1);
  process.once("SIGINT", hurry);
  process.once("SIGTERM", hurry);
  for (const closable of closables) await closable.drain?.();
  for (const closable of closables) await closable.close();
  clearInterval(alive);
  process.off("SIGINT", hurry);
  process.off("SIGTERM", hurry);
  return signal;
}
