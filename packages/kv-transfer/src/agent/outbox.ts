import { transferError } from "../transfer-error.ts";
import type { Link, OpenTransport, WireNotification } from "../transport/transport.ts";

/** Messages that wait to be sent or acknowledged, per peer and kind; more are refused. */
export const outboxLimit = 65_536;

/** Handed to a link at once: each is acknowledged by itself, a failure sends them all again. */
const batchMessages = 1024;

export interface Outbox {
  /** Resolves when the peer's agent has a place for it. @throws TransferError TRANSFER_LIMIT, or why there is no way */
  send(tag: string, payload: Uint8Array): Promise<void>;
}

interface Waiting {
  readonly message: WireNotification;
  resolve(): void;
  reject(error: unknown): void;
}

/** Sends in order; after a link failed, what was not acknowledged goes again over the next one with the same number, so the receiver drops doubles. */
export function createOutbox(
  kind: WireNotification["kind"],
  findLink: (
    excluded: ReadonlySet<OpenTransport>,
  ) => Promise<{ readonly link: Link; readonly transport: OpenTransport }>,
): Outbox {
  let waiting: Waiting[] = [];
  let sequence = 0;
  /** The last that was not given up. */
  let follows = 0;
  let acknowledged = 0;
  let isPumping = false;
  const pump = async (): Promise<void> => {
    const failed = new Set<OpenTransport>();
    while (waiting.length > 0) {
      let found: Awaited<ReturnType<typeof findLink>>;
      try {
        found = await findLink(failed);
      } catch (error) {
        // Before anybody is told: who is may send again at once.
        isPumping = false;
        follows = acknowledged;
        const lost = waiting;
        waiting = [];
        for (const item of lost) item.reject(error);
        return;
      }
      const batch = waiting.slice(0, batchMessages);
      const results = await Promise.allSettled(batch.map((item) => found.link.notify?.(item.message)));
      const firstFailure = results.findIndex((result) => result.status === "rejected");
      const done = firstFailure < 0 ? batch.length : firstFailure;
      waiting = waiting.slice(done);
      acknowledged = batch[done - 1]?.message.sequence ?? acknowledged;
      if (waiting.length === 0) isPumping = false;
      for (const item of batch.slice(0, done)) item.resolve();
      if (!isPumping) return;
      if (firstFailure >= 0) failed.add(found.transport);
    }
  };
  return {
    send(tag, payload) {
      if (waiting.length >= outboxLimit)
        return Promise.reject(
          transferError(
            "TRANSFER_LIMIT",
            `${outboxLimit} notifications wait for the peer: wait for their promises before sending more.`,
          ),
        );
      sequence += 1;
      const message: WireNotification = { kind, sequence, follows, tag, payload };
      follows = sequence;
      return new Promise((resolve, reject) => {
        waiting.push({ message, resolve, reject });
        if (isPumping) return;
        isPumping = true;
        void pump();
      });
    },
  };
}
