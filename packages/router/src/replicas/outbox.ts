/** What waits to be sent to one peer. */
export interface Outbox {
  push(message: OutboxMessage): void;
  /** Ends `messages` once what waits was taken. */
  end(): void;
  messages(): AsyncGenerator<OutboxMessage, void>;
}

export interface OutboxMessage {
  readonly topic: string;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Bytes that may wait; a peer that reads more slowly loses messages, and asks for what it then lacks. */
const MOST_BYTES = 256 * 1024 * 1024;

export function createOutbox(): Outbox {
  let waiting: OutboxMessage[] = [];
  let bytes = 0;
  let isEnded = false;
  let wake: (() => void) | undefined;
  return {
    push(message) {
      if (isEnded || bytes + message.payload.length > MOST_BYTES) return;
      waiting.push(message);
      bytes += message.payload.length;
      wake?.();
    },
    end() {
      isEnded = true;
      wake?.();
    },
    async *messages() {
      for (;;) {
        const taken = waiting;
        waiting = [];
        bytes = 0;
        yield* taken;
        if (waiting.length > 0) continue;
        if (isEnded) return;
        await new Promise<void>((resolve) => (wake = resolve));
        wake = undefined;
      }
    },
  };
}
