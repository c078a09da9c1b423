import type { EventQueue } from "./event-queue.ts";

/** Transfers over links with limited bandwidth: those that share an end share its bytes per second evenly. */
export interface Links {
  /** Bytes from one end to another; `onDone` after the last one arrived. */
  send(from: string, to: string, bytes: number, onDone: () => void): void;
  /** All flows of this end stop, and later ones never begin; their `onDone` is never called. */
  drop(end: string): void;
}

interface Flow {
  readonly from: string;
  readonly to: string;
  readonly onDone: () => void;
  bytesLeft: number;
  bytesPerMs: number;
}

/**
 * Each end sends and receives at most so many bytes per second (full duplex). A flow runs at the smaller of its shares
 * at both ends, fixed time of `latencyMs` before; shares are recomputed whenever a flow begins or ends.
 */
export function createLinks(
  events: EventQueue,
  bytesPerSecondOf: (end: string) => number,
  latencyMs: number,
): Links {
  const flows = new Set<Flow>();
  const sending = new Map<string, number>();
  const dropped = new Set<string>();
  const receiving = new Map<string, number>();
  let changedMs = 0;
  let version = 0;

  function settle(): void {
    const elapsedMs = events.now() - changedMs;
    changedMs = events.now();
    for (const flow of flows) flow.bytesLeft -= flow.bytesPerMs * elapsedMs;
  }

  function share(): void {
    let nextMs = Infinity;
    for (const flow of flows) {
      const out = bytesPerSecondOf(flow.from) / sending.get(flow.from)!;
      const into = bytesPerSecondOf(flow.to) / receiving.get(flow.to)!;
      flow.bytesPerMs = Math.min(out, into) / 1000;
      nextMs = Math.min(nextMs, flow.bytesLeft / flow.bytesPerMs);
    }
    const wanted = ++version;
    if (nextMs < Infinity) events.at(events.now() + nextMs, () => wanted === version && finish());
  }

  function remove(flow: Flow): void {
    flows.delete(flow);
    sending.set(flow.from, sending.get(flow.from)! - 1);
    receiving.set(flow.to, receiving.get(flow.to)! - 1);
  }

  function finish(): void {
    settle();
    // Half a byte: what rounding leaves.
    const done = [...flows].filter((flow) => flow.bytesLeft < 0.5);
    for (const flow of done) remove(flow);
    share();
    for (const flow of done) flow.onDone();
  }

  return {
    send(from, to, bytes, onDone) {
      events.at(events.now() + latencyMs, () => {
        if (dropped.has(from) || dropped.has(to)) return;
        settle();
        flows.add({ from, to, onDone, bytesLeft: bytes, bytesPerMs: 0 });
        sending.set(from, (sending.get(from) ?? 0) + 1);
        receiving.set(to, (receiving.get(to) ?? 0) + 1);
        share();
      });
    },
    drop(end) {
      dropped.add(end);
      settle();
      for (const flow of flows) if (flow.from === end || flow.to === end) remove(flow);
      share();
    },
  };
}
