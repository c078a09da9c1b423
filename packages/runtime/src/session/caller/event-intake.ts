import type { KvEventBatch as WireBatch } from "@stator/contracts";
import type { Clock, KvEventBatch } from "@stator/core";
import { createBatchAssembler } from "../../codec/kv-event-codec.ts";

export interface EventIntakeOptions {
  readonly worker: string;
  readonly epoch: string;
  /** Batches seen of this life already. */
  readonly eventsAfter: bigint;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly fetchSnapshot: () => Promise<KvEventBatch>;
  readonly onSnapshotFailure?: () => void;
  /** Gets a snapshot and the batches that came meanwhile. */
  readonly deliver: (batches: readonly KvEventBatch[]) => void;
}

/** Makes one order of the KV events of a session: messages, batches, and snapshots in between. */
export interface EventIntake {
  readonly lastSequence: bigint;
  /** The batches that these messages complete and that are to be told now: none while a snapshot is on its way. */
  add(wires: readonly WireBatch[]): readonly KvEventBatch[];
  /** Asks for a snapshot; batches wait for it. */
  refresh(): void;
}

/** Wait before a snapshot is asked for again, in milliseconds. */
const retryMs = 500;

export function createEventIntake(options: EventIntakeOptions): EventIntake {
  const { clock, signal } = options;
  const assembler = createBatchAssembler(options);
  let lastSequence = options.eventsAfter;
  let held: KvEventBatch[] | undefined;

  const fetch = (): void => {
    options.fetchSnapshot().then(
      (snapshot) => {
        const meanwhile = held ?? [];
        held = undefined;
        if (signal.aborted) return;
        if (snapshot.sequence > lastSequence) lastSequence = snapshot.sequence;
        options.deliver([snapshot, ...meanwhile.filter(({ sequence }) => sequence > snapshot.sequence)]);
      },
      () => {
        if (signal.aborted) return;
        options.onSnapshotFailure?.();
        clock.schedule(retryMs, fetch);
      },
    );
  };

  return {
    get lastSequence() {
      return lastSequence;
    },
    add(wires) {
      if (wires.length === 0) return [];
      const batches: KvEventBatch[] = [];
      for (const wire of wires) {
        const batch = assembler.add(wire);
        if (batch === undefined || batch.sequence <= lastSequence) continue;
        lastSequence = batch.sequence;
        batches.push(batch);
      }
      if (held === undefined) return batches;
      held.push(...batches);
      return [];
    },
    refresh() {
      if (held !== undefined) return;
      held = [];
      fetch();
    },
  };
}
