import type { Clock } from "@stator/core";
import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import type { Link, OpenTransport, RunBatch, Work } from "../transport/transport.ts";
import { pairDescriptors } from "./descriptors.ts";
import type { RegionInternal } from "./region.ts";
import { createRouter, type Route, type RouteContext } from "./routes.ts";
import type { Transfer, TransferRequest, TransferStats, TransferStatus } from "./transfer-agent.ts";

/** Ways tried for one piece before its failure is the caller's. */
const attemptLimit = 3;
/** A cancelled write waits this long for the target's word before its connection is cut. */
const cancelGraceMs = 1000;
/** Deadline per byte where the caller sets none: four times the time at 1 GB/s. */
const deadlineMsPerByte = 4e-6;

export interface TransferContext extends RouteContext {
  readonly clock: Clock;
  readonly baseDeadlineMs: number;
  readonly local: readonly RegionInternal[];
  onDone(stats: TransferStats): void;
  onFailed(error: TransferError): void;
  onFailover(transport: OpenTransport, error: TransferError): void;
}

/** A batch that was posted before it is known whether it outlives the call. */
interface Posted {
  readonly work: Work;
  readonly link: Link;
  isSettled: boolean;
  error: TransferError | undefined;
  left: RunBatch | undefined;
  later: Work["settle"] | undefined;
}

const none: ReadonlySet<OpenTransport> = new Set();

interface Run {
  readonly startedAt: number;
  postMicros: number;
  left: number;
  failure: TransferError | undefined;
  isCancelling: boolean;
  failovers: number;
  readonly active: Map<Work, Link>;
  /** Ends what only waits for its connection: nothing touches memory for it. */
  readonly connecting: Set<() => void>;
  readonly used: Set<string>;
  finish(): void;
}

export function createTransferHandle(request: TransferRequest, context: TransferContext): Transfer {
  const { entry, clock, transports } = context;
  const batch = pairDescriptors(request.local, request.remote, request.localIndex, request.remoteIndex);
  let status: TransferStatus = "idle";
  let stats: TransferStats = {
    bytes: batch.totalBytes,
    pieces: batch.totalPieces,
    postMicros: 0,
    totalMicros: 0,
    transports: [],
    failovers: 0,
  };
  let current: Run | undefined;
  let completion: Promise<TransferStats> | undefined;

  const cancel = (error: TransferError): void => {
    const run = current;
    if (run === undefined || run.isCancelling) return;
    run.isCancelling = true;
    run.failure ??= error;
    status = "cancelling";
    for (const giveUp of [...run.connecting]) giveUp();
    for (const [work, link] of [...run.active]) link.cancel(work);
    if (run.active.size === 0) return;
    clock.schedule(cancelGraceMs, () => {
      for (const link of new Set(run.active.values())) void link.close();
    });
  };
  const route = createRouter(request, context);
  const start = (run: Run, to: Route, excluded: ReadonlySet<OpenTransport>, posted?: Posted): void => {
    run.left += 1;
    const ended = (error: TransferError | undefined, left: RunBatch = to.batch): void => {
      if (error === undefined || left !== to.batch) run.used.add(to.transport.name);
      if (
        error !== undefined &&
        isRetryable(error) &&
        !run.isCancelling &&
        excluded.size + 1 < attemptLimit
      ) {
        entry.coolDown(to.transport);
        const without = new Set([...excluded, to.transport]);
        try {
          const next = route(left, without);
          run.failovers += 1;
          context.onFailover(to.transport, error);
          for (const again of next) start(run, again, without);
          error = undefined;
        } catch {
          // No other way: the first failure tells more than "no path left".
        }
      }
      run.failure ??= error;
      run.left -= 1;
      if (run.left === 0) run.finish();
    };
    if (posted !== undefined) {
      const settled: Work["settle"] = (error, left) => {
        run.active.delete(posted.work);
        ended(error, left);
      };
      run.active.set(posted.work, posted.link);
      if (posted.isSettled) settled(posted.error, posted.left);
      else posted.later = settled;
      return;
    }
    const post = (link: Link): void => {
      const work: Work = {
        operation: request.operation,
        batch: to.batch,
        epochs: request.epochs ?? [],
        settle(error, left) {
          run.active.delete(work);
          ended(error, left);
        },
      };
      run.active.set(work, link);
      link.post(work);
    };
    const open = entry.openLink(to.transport);
    if (open !== undefined) return post(open);
    const giveUp = (): void => {
      run.connecting.delete(giveUp);
      ended(run.failure);
    };
    run.connecting.add(giveUp);
    entry.connect(to.transport).then(
      (link) => {
        if (run.connecting.delete(giveUp)) post(link);
      },
      (error: unknown) => {
        if (run.connecting.delete(giveUp)) ended(asTransferError(error, to.transport.name));
      },
    );
  };
  // A route over the most preferred transport stands while its link is open and the peer's regions are the same; others are looked for anew.
  let lastRoutes: Route[] | undefined;
  let lastLink: Link | undefined;
  let lastVersion = -1;
  const isStillGood = (): boolean => {
    const only = lastRoutes?.[0];
    return (
      lastVersion === entry.version &&
      lastLink?.isOpen === true &&
      lastRoutes?.length === 1 &&
      only?.transport === transports[0] &&
      only !== undefined &&
      !entry.isCooling(only.transport)
    );
  };
  const findRoutes = (): readonly Route[] => {
    if (lastRoutes !== undefined && isStillGood()) return lastRoutes;
    lastVersion = entry.version;
    lastRoutes = route(batch, none);
    const only = lastRoutes.length === 1 ? lastRoutes[0] : undefined;
    lastLink = only && entry.openLink(only.transport);
    return lastRoutes;
  };
  const postAtOnce = (to: Route, link: Link): Posted => {
    const posted: Posted = {
      link,
      isSettled: false,
      error: undefined,
      left: undefined,
      later: undefined,
      work: {
        operation: request.operation,
        batch: to.batch,
        epochs: request.epochs ?? [],
        settle(error, left) {
          if (posted.later !== undefined) return posted.later(error, left);
          posted.isSettled = true;
          posted.error = error;
          posted.left = left;
        },
      },
    };
    link.post(posted.work);
    return posted;
  };
  const begin = (): "done" | "inProgress" => {
    const startedAt = clock.now();
    if (request.signal?.aborted === true)
      throw transferError(
        "TRANSFER_CANCELLED",
        "The signal was aborted before the transfer was posted.",
        undefined,
        request.signal.reason,
      );
    if (!entry.peer.isCurrent)
      throw transferError(
        "TRANSFER_PEER_LOST",
        `Peer ${entry.record.name} (${entry.record.incarnation.slice(0, 8)}) is gone; import its new metadata.`,
        { peer: entry.record.name },
      );
    for (const region of context.local)
      if (!region.isAlive)
        throw transferError("TRANSFER_REGION_GONE", `Region ${region.id} was deregistered.`, {
          region: region.id,
        });
    const routes = findRoutes();
    for (const region of context.local) region.hold();
    status = "inProgress";
    const posted = lastLink && postAtOnce(routes[0] as Route, lastLink);
    if (posted?.isSettled === true && posted.error === undefined) {
      // The short way for what is over already: no promise, no timer, no listeners.
      for (const region of context.local) region.unhold();
      const micros = (clock.now() - startedAt) * 1000;
      stats = {
        bytes: batch.totalBytes,
        pieces: batch.totalPieces,
        postMicros: micros,
        totalMicros: micros,
        transports: (routes[0] as Route).names,
        failovers: 0,
      };
      status = "done";
      completion = undefined;
      context.onDone(stats);
      return "done";
    }
    let settle:
      { resolve: (stats: TransferStats) => void; reject: (error: TransferError) => void } | undefined;
    const ended = new Promise<TransferStats>((resolve, reject) => {
      settle = { resolve, reject };
    });
    ended.catch(() => undefined);
    completion = ended;
    const deadlineMs = request.deadlineMs ?? context.baseDeadlineMs + batch.totalBytes * deadlineMsPerByte;
    const onAbort = (): void =>
      cancel(
        transferError(
          "TRANSFER_CANCELLED",
          "The transfer was cancelled by its signal.",
          undefined,
          request.signal?.reason,
        ),
      );
    let timer: ReturnType<Clock["schedule"]> | undefined = undefined;
    const run: Run = {
      startedAt,
      postMicros: 0,
      left: 1,
      failure: undefined,
      isCancelling: false,
      failovers: 0,
      active: new Map(),
      connecting: new Set(),
      used: new Set(),
      finish() {
        timer?.cancel();
        request.signal?.removeEventListener("abort", onAbort);
        entry.running.delete(cancel);
        for (const region of context.local) region.unhold();
        current = undefined;
        stats = {
          bytes: batch.totalBytes,
          pieces: batch.totalPieces,
          postMicros: run.postMicros,
          totalMicros: (clock.now() - startedAt) * 1000,
          transports: [...run.used],
          failovers: run.failovers,
        };
        if (run.failure !== undefined) {
          status = "failed";
          context.onFailed(run.failure);
          settle?.reject(run.failure);
          return;
        }
        status = "done";
        context.onDone(stats);
        settle?.resolve(stats);
      },
    };
    current = run;
    for (const to of routes) start(run, to, none, posted);
    run.postMicros = (clock.now() - startedAt) * 1000;
    run.left -= 1;
    if (run.left === 0) {
      run.finish();
      return "done";
    }
    // Only work that outlives the call needs a deadline: inline copies stay free of timers.
    timer = clock.schedule(deadlineMs, () =>
      cancel(
        transferError(
          "TRANSFER_DEADLINE",
          `The transfer to ${entry.record.name} was not done after ${Math.round(deadlineMs)} ms.`,
          { peer: entry.record.name, deadlineMs },
        ),
      ),
    );
    request.signal?.addEventListener("abort", onAbort, { once: true });
    entry.running.add(cancel);
    return "inProgress";
  };
  return {
    get status() {
      return status;
    },
    get stats() {
      return stats;
    },
    get completion() {
      if (completion === undefined) {
        completion =
          status === "done"
            ? Promise.resolve(stats)
            : Promise.reject(transferError("TRANSFER_OPTION_INVALID", "The transfer was not posted yet."));
        completion.catch(() => undefined);
      }
      return completion;
    },
    post() {
      if (status === "released")
        throw transferError("TRANSFER_RELEASED", "This transfer was released; create another.");
      if (current !== undefined)
        throw transferError(
          "TRANSFER_REPOST",
          "This transfer is still running: post it again after its completion.",
        );
      return begin();
    },
    async release() {
      cancel(transferError("TRANSFER_CANCELLED", "The transfer was released while it ran."));
      await completion?.catch(() => undefined);
      status = "released";
    },
  };
}

const isRetryable = (error: TransferError): boolean =>
  error.code === "TRANSFER_TRANSPORT_FAILED" ||
  error.code === "TRANSFER_PEER_LOST" ||
  error.code === "TRANSFER_NATIVE_UNAVAILABLE";
