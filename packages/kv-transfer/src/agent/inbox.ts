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
  /** Takes a message once; resolves when it has a place. Repeated ones are dropped and acknowledged, early ones wait for those before them. */
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

const earlyLimit = 4096;

/** One sender's messages of one kind. */
interface Sender {
  last: number;
  /** Came before their time: their number, and what lets them in. Bounded by what a sender has under way. */
  readonly early: Map<number, { readonly follows: number; readonly admit: () => void }>;
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
  const senders = new Map<string, Sender>();
  const expectations: Expectation[] = [];
  const waitingForRoom: (() => void)[] = [];
  let wakeReader: (() => void) | undefined;
  let isClosed = false;
  const take = (): Notification | undefined => {
    const next = queue.shift();
    waitingForRoom.shift()?.();
    return next;
  };
  /** Undefined where there is room at once. */
  const place = (
    from: { readonly name: string; readonly incarnation: string },
    message: WireNotification,
  ): Promise<void> | undefined => {
    if (message.kind === "lease") {
      onLease(from, message.tag, message.payload);
      return undefined;
    }
    const expected = expectations.find((wait) => wait.peer === from.name && wait.tag === message.tag);
    if (expected !== undefined) {
      expected.missing -= 1;
      if (expected.missing === 0) {
        expectations.splice(expectations.indexOf(expected), 1);
        expected.resolve();
      }
      return undefined;
    }
    queue.push({
      peer: from.name,
      incarnation: from.incarnation,
      tag: message.tag,
      payload: Uint8Array.from(message.payload),
    });
    wakeReader?.();
    if (queue.length <= limit || isClosed) return undefined;
    return new Promise((resolve) => waitingForRoom.push(resolve));
  };
  return {
    async accept(from, message) {
      const name = `${message.kind}\0${from.name}\0${from.incarnation}`;
      let sender = senders.get(name);
      if (sender === undefined) senders.set(name, (sender = { last: 0, early: new Map() }));
      const { early } = sender;
      // Deduplicated before any wait, so that a resend over another transport can't overtake or double the first copy.
      if (message.sequence <= sender.last || early.has(message.sequence)) return;
      if (message.follows > sender.last) {
        // More than any sender has under way: not one of ours.
        if (early.size > earlyLimit) return;
        await new Promise<void>((admit) => early.set(message.sequence, { follows: message.follows, admit }));
        early.delete(message.sequence);
        // Given up by its sender, who has gone on without it.
        if (message.sequence <= sender.last) return;
      }
      sender.last = message.sequence;
      const placed = place(from, message);
      if (early.size > 0)
        for (const [sequence, { follows, admit }] of early)
          if (follows === sender.last || sequence < sender.last) admit();
      await placed;
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
      for (const { early } of senders.values()) for (const { admit } of [...early.values()]) admit();
    },
  };
}
