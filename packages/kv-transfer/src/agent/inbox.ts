import type { WireNotification } from "../transport/transport.ts";
import { transferError } from "../transfer-error.ts";

/** A message that a peer's agent sent with `notify` or at the end of a transfer. */
export interface Notification {
  readonly peer: string;
  /** Which start of the peer sent it. */
  readonly incarnation: string;
  readonly tag: string;
  readonly payload: Uint8Array;
}

export interface Inbox {
  /** Takes a message once; resolves when it has a place. Repeated and late ones are dropped and acknowledged. */
  accept(
    from: { readonly name: string; readonly incarnation: string },
    message: WireNotification,
  ): Promise<void>;
  notifications(signal?: AbortSignal): AsyncIterable<Notification>;
  expect(peer: string, tag: string, count: number, signal?: AbortSignal): Promise<void>;
  close(): void;
}

interface Expectation {
  readonly peer: string;
  readonly tag: string;
  missing: number;
  readonly resolve: () => void;
}

/**
 * Received notifications: ordered per peer, each at most once, at most `limit` waiting. When it is full, senders wait for
 * their acknowledgement, so a slow reader slows the senders and memory stays bounded.
 */
export function createInbox(
  limit: number,
  onLease: (
    from: { readonly name: string; readonly incarnation: string },
    tag: string,
    payload: Uint8Array,
  ) => void,
): Inbox {
  const queue: Notification[] = [];
  const lastSequence = new Map<string, number>();
  const expectations: Expectation[] = [];
  const waitingForRoom: (() => void)[] = [];
  let wakeReader: (() => void) | undefined;
  let isClosed = false;
  const take = (): Notification | undefined => {
    const next = queue.shift();
    waitingForRoom.shift()?.();
    return next;
  };
  return {
    async accept(from, message) {
      // Deduplicated before any wait, so that a resend over another transport can't overtake or double the first copy.
      const sender = `${from.name}\0${from.incarnation}`;
      if (message.sequence <= (lastSequence.get(sender) ?? 0)) return;
      lastSequence.set(sender, message.sequence);
      if (message.kind === "lease") {
        onLease(from, message.tag, message.payload);
        return;
      }
      const expected = expectations.find((wait) => wait.peer === from.name && wait.tag === message.tag);
      if (expected !== undefined) {
        expected.missing -= 1;
        if (expected.missing === 0) {
          expectations.splice(expectations.indexOf(expected), 1);
          expected.resolve();
        }
        return;
      }
      queue.push({
        peer: from.name,
        incarnation: from.incarnation,
        tag: message.tag,
        payload: Uint8Array.from(message.payload),
      });
      wakeReader?.();
      if (queue.length > limit && !isClosed)
        await new Promise<void>((resolve) => waitingForRoom.push(resolve));
    },
    notifications(signal) {
      return {
        async *[Symbol.asyncIterator]() {
          while (true) {
            const next = take();
            if (next !== undefined) {
              yield next;
              continue;
            }
            if (isClosed || signal?.aborted === true) return;
            await new Promise<void>((resolve) => {
              const done = (): void => {
                signal?.removeEventListener("abort", done);
                resolve();
              };
              wakeReader = done;
              signal?.addEventListener("abort", done, { once: true });
            });
          }
        },
      };
    },
    expect(peer, tag, count, signal) {
      let missing = count;
      for (let i = 0; i < queue.length && missing > 0;) {
        const queued = queue[i];
        if (queued?.peer !== peer || queued.tag !== tag) {
          i += 1;
          continue;
        }
        queue.splice(i, 1);
        waitingForRoom.shift()?.();
        missing -= 1;
      }
      if (missing <= 0) return Promise.resolve();
      return new Promise<void>((resolve, reject) => {
        const wait: Expectation = {
          peer,
          tag,
          missing,
          resolve: () => {
            signal?.removeEventListener("abort", onAbort);
            resolve();
          },
        };
        const onAbort = (): void => {
          const at = expectations.indexOf(wait);
          if (at >= 0) expectations.splice(at, 1);
          reject(
            transferError(
              "TRANSFER_CANCELLED",
              `Stopped waiting for ${count} notifications "${tag}" of ${peer}.`,
            ),
          );
        };
        expectations.push(wait);
        if (signal?.aborted === true) onAbort();
        else signal?.addEventListener("abort", onAbort, { once: true });
      });
    },
    close() {
      isClosed = true;
      wakeReader?.();
      for (const resolve of waitingForRoom.splice(0)) resolve();
    },
  };
}
