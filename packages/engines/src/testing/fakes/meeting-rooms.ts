import type { Handoff, TokenBatch } from "@stator/core";

/** What prefill leaves in a room: its KV, or the batch that ended the request already. */
export type Left =
  | { readonly type: "handoff"; readonly handoff: Handoff }
  | { readonly type: "finished"; readonly batch: TokenBatch }
  | { readonly type: "failed"; readonly message: string };

/** Where the fakes of a prefill and a decode server meet: stands for a bootstrap server and the transfer itself. */
export interface MeetingRooms {
  leave(room: string, left: Left): void;
  take(room: string, signal: AbortSignal): Promise<Left>;
  /** Rooms in which something lies that nobody took. */
  readonly size: number;
}

export function createMeetingRooms(): MeetingRooms {
  const rooms = new Map<string, Left>();
  const waiting = new Map<string, (left: Left) => void>();
  return {
    leave(room, left) {
      const take = waiting.get(room);
      waiting.delete(room);
      if (take === undefined) rooms.set(room, left);
      else take(left);
    },
    take(room, signal) {
      const there = rooms.get(room);
      rooms.delete(room);
      if (there !== undefined) return Promise.resolve(there);
      return new Promise((resolve, reject) => {
        waiting.set(room, resolve);
        const onAbort = (): void => {
          waiting.delete(room);
          reject(signal.reason as Error);
        };
        if (signal.aborted) onAbort();
        else signal.addEventListener("abort", onAbort, { once: true });
      });
    },
    get size() {
      return rooms.size;
    },
  };
}
