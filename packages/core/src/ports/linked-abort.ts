/** A controller for one piece of work under the signal of whoever asked for it. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
  /** Removes the listener from the parent. Always call it. */
  unlink(): void;
}

/**
 * Like `AbortSignal.any`, but it lets go of its parent: Node 20 keeps an entry on the parent for every signal ever made
 * from it, which grows without end where the parent lives as long as the process.
 *
 * @param parent undefined: aborted by `abort` alone.
 */
export function linkAbort(parent: AbortSignal | undefined): LinkedAbort {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(parent?.reason);
  if (parent?.aborted === true) onAbort();
  else parent?.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => parent?.removeEventListener("abort", onAbort),
  };
}
