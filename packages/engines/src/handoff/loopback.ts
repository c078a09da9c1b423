import { systemClock, type Clock, type Timer } from "@stator/core";

import { EnginesError } from "../errors/engines-error.ts";
import type { OfferedBlock, Transfer } from "./transfer.ts";

interface Held {
  readonly blocks: readonly OfferedBlock[];
  timer: Timer;
}

export interface LoopbackOptions {
  /** Runs the leases. Default: the machine's clock. */
  readonly clock?: Clock;
}

/**
 * Hands KV over between engines of one process, without a wire: the same promises as the transports of
 * `@stator/kv-transfer` (leases, all or nothing, only lacked blocks).
 */
export function createLoopback({ clock = systemClock }: LoopbackOptions = {}): Transfer {
  const held = new Map<string, Held>();
  let offers = 0;

  const release = (leaseId: string): void => {
    held.get(leaseId)?.timer.cancel();
    held.delete(leaseId);
  };

  return {
    source: {
      offer({ blocks, leaseMs }) {
        const leaseId = `loopback-${++offers}`;
        const start = (): Timer => clock.schedule(leaseMs, () => held.delete(leaseId));
        held.set(leaseId, { blocks, timer: start() });
        return {
          opaque: new TextEncoder().encode(leaseId),
          leaseId,
          renew() {
            const entry = held.get(leaseId);
            if (entry === undefined) return;
            entry.timer.cancel();
            entry.timer = start();
          },
          release: () => release(leaseId),
        };
      },
    },
    sink: {
      fetch(opaque, { lacks, signal }) {
        if (signal.aborted) return Promise.reject(signal.reason as Error);
        const leaseId = new TextDecoder().decode(opaque);
        const entry = held.get(leaseId);
        if (entry === undefined) {
          return Promise.reject(
            new EnginesError({
              code: "ENGINES_HANDOFF_FAILED",
              kind: "unavailable",
              message: `The KV of lease ${leaseId} is no longer held: its lease ran out or it was released.`,
            }),
          );
        }
        const received = entry.blocks.map(({ key, bytes }, index) => (lacks(index, key) ? bytes : undefined));
        release(leaseId);
        return Promise.resolve(received);
      },
    },
  };
}

const shared = new WeakMap<Clock, Transfer>();

/** The loopback that engines of one process and one clock share unless they are given another transfer. */
export function sharedLoopback(clock: Clock): Transfer {
  const transfer = shared.get(clock) ?? createLoopback({ clock });
  shared.set(clock, transfer);
  return transfer;
}
