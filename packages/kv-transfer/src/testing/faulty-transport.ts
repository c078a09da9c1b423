import { restOf } from "../agent/batch-rest.ts";
import { transferError } from "../transfer-error.ts";
import type {
  Link,
  OpenTransport,
  RemoteAgent,
  RunBatch,
  Transport,
  WireNotification,
  Work,
} from "../transport/transport.ts";

/** What may happen to one posted batch. */
export type PostFault =
  /** Refused before any byte moves. */
  | { readonly kind: "failAtPost" }
  /** All bytes move, then a failure is reported. */
  | { readonly kind: "failAtCompletion" }
  /** The first half of its runs moves, then a failure is reported together with what is left. */
  | { readonly kind: "partial" }
  /** Starts when the promise resolves. */
  | { readonly kind: "delay"; readonly until: Promise<void> }
  /** Never starts and never ends, until it is cancelled. */
  | { readonly kind: "drop" }
  /** The link is cut while it runs. */
  | { readonly kind: "cut" };

export type NotifyFault =
  | { readonly kind: "drop" }
  | { readonly kind: "duplicate" }
  | { readonly kind: "fail" }
  /** Comes after the one that follows it. */
  | { readonly kind: "swap" }
  | { readonly kind: "delay"; readonly until: Promise<void> };

/** Decides what goes wrong; `undefined` leaves the operation alone. Numbers count from 0 per agent. */
export interface FaultPlan {
  connect?(number: number, peer: string): "fail" | undefined;
  post?(number: number, work: Work): PostFault | undefined;
  notify?(number: number, message: WireNotification): NotifyFault | undefined;
}

/** Any transport, with faults injected between the agent and it. It keeps the name, so it takes the place of the real one. */
export function faulty(inner: Transport, plan: FaultPlan): Transport {
  return {
    name: inner.name,
    async open(host) {
      const open = await inner.open(host);
      let connects = 0;
      let posts = 0;
      let notifies = 0;
      const wrapped: OpenTransport = {
        ...open,
        async connect(peer: RemoteAgent, signal) {
          if (plan.connect?.(connects++, peer.name) === "fail") throw injected(inner.name, "connect");
          const link = await open.connect(peer, signal);
          return wrapLink(
            link,
            inner.name,
            (work) => plan.post?.(posts++, work),
            (message) => plan.notify?.(notifies++, message),
          );
        },
      };
      return wrapped;
    },
  };
}

const injected = (transport: string, where: string) =>
  transferError("TRANSFER_TRANSPORT_FAILED", `An injected fault at ${where} of ${transport}.`, { transport });

function wrapLink(
  link: Link,
  name: string,
  postFault: (work: Work) => PostFault | undefined,
  notifyFault: (message: WireNotification) => NotifyFault | undefined,
): Link {
  const held = new Set<Work>();
  const inner = new Map<Work, Work>();
  let afterNext: (() => void) | undefined;
  const post = (work: Work, batch: RunBatch, settle: Work["settle"]): void => {
    const through: Work = {
      ...work,
      batch,
      settle(error, left) {
        inner.delete(work);
        settle(error, left);
      },
    };
    inner.set(work, through);
    link.post(through);
  };
  return {
    get isOpen() {
      return link.isOpen;
    },
    post(work) {
      const fault = postFault(work);
      const fail = (where: string) => () => work.settle(injected(name, where));
      switch (fault?.kind) {
        case undefined:
          return post(work, work.batch, work.settle);
        case "failAtPost":
          return work.settle(injected(name, "post"));
        case "failAtCompletion":
          return post(work, work.batch, fail("completion"));
        case "partial": {
          const half = firstHalf(work.batch);
          return post(work, half, () =>
            work.settle(injected(name, "half of the batch"), restOf(work.batch, half.totalBytes)),
          );
        }
        case "drop":
          held.add(work);
          return;
        case "delay":
          held.add(work);
          void fault.until.then(() => {
            if (held.delete(work)) post(work, work.batch, work.settle);
          });
          return;
        case "cut":
          // However its own end calls it: to whoever uses it, it broke.
          post(work, work.batch, (_error, left) => work.settle(injected(name, "a cut link"), left));
          void link.close();
      }
    },
    cancel(work) {
      if (held.delete(work)) work.settle(transferError("TRANSFER_CANCELLED", "The transfer was cancelled."));
      else link.cancel(inner.get(work) ?? work);
    },
    async notify(message) {
      const fault = notifyFault(message);
      if (fault?.kind === "fail") throw injected(name, "notify");
      if (fault?.kind === "drop") return;
      if (fault?.kind === "delay") await fault.until;
      if (fault?.kind === "swap") await new Promise<void>((resolve) => (afterNext = resolve));
      const sent = link.notify?.(message);
      afterNext?.();
      afterNext = undefined;
      await sent;
      if (fault?.kind === "duplicate") await link.notify?.(message);
    },
    async close() {
      for (const work of held) work.settle(injected(name, "close"));
      held.clear();
      await link.close();
    },
  };
}

function firstHalf(batch: RunBatch): RunBatch {
  const runs = Math.max(1, batch.runs >> 1);
  if (batch.runs > 1) {
    let totalBytes = 0;
    let totalPieces = 0;
    for (let run = 0; run < runs; run += 1) {
      totalBytes += (batch.pieceBytes[run] as number) * (batch.pieces[run] as number);
      totalPieces += batch.pieces[run] as number;
    }
    return { ...batch, runs, totalBytes, totalPieces };
  }
  const bytes = Math.max(1, Math.floor((batch.pieceBytes[0] as number) / 2));
  return {
    ...batch,
    pieceBytes: Float64Array.of(bytes),
    pieces: Uint32Array.of(1),
    totalBytes: bytes,
    totalPieces: 1,
  };
}
