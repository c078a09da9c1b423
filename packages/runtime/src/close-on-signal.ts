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
 * A child with an IPC channel leaves SIGINT to its supervisor, which ends it by SIGTERM in its turn: a terminal sends
 * Ctrl-C to the whole group.
 *
 * @returns the signal, once everything is closed.
 */
export async function closeOnSignal(...closables: readonly Closable[]): Promise<NodeJS.Signals> {
  // Signal handlers alone do not keep a process alive.
  const alive = setInterval(() => {}, 2 ** 30);
  const isSupervised = process.send !== undefined;
  const ignore = (): void => {};
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    process.once("SIGTERM", resolve);
    if (isSupervised) process.on("SIGINT", ignore);
    else process.once("SIGINT", resolve);
  });
  const hurry = (): void => process.exit(1);
  if (!isSupervised) process.once("SIGINT", hurry);
  process.once("SIGTERM", hurry);
  for (const closable of closables) await closable.drain?.();
  for (const closable of closables) await closable.close();
  clearInterval(alive);
  process.off("SIGINT", hurry);
  process.off("SIGINT", ignore);
  process.off("SIGTERM", hurry);
  return signal;
}
