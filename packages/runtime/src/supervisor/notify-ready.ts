/** What a child tells its supervisor over Node's IPC channel. */
export interface ReadyMessage {
  readonly type: "stator:ready";
  /** Plain data for the supervisor: an address, a port. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** In a child: says that it is ready. Does nothing without a supervisor. */
export function notifyReady(data: Readonly<Record<string, unknown>> = {}): void {
  const message: ReadyMessage = { type: "stator:ready", data };
  process.send?.(message);
}

/**
 * In a child: calls `onOrphaned` when the supervisor is gone, however it died. Without a supervisor, never.
 *
 * @param onOrphaned default: exit with status 1.
 */
export function watchSupervisor(onOrphaned: () => void = () => process.exit(1)): void {
  if (process.send === undefined) return;
  process.once("disconnect", onOrphaned);
  // Being watched must not keep a finished child alive.
  process.channel?.unref();
}

export function isReadyMessage(message: unknown): message is ReadyMessage {
  return (
    typeof message === "object" && message !== null && (message as { type?: unknown }).type === "stator:ready"
  );
}
