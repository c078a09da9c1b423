import type { OutputDetail, StepFrame } from "@stator/contracts";
import { microtasksDone } from "../turn.ts";
import { detailFromWire, readRows, type RowReader } from "./frame-reader.ts";
import type { RemoteStream } from "./remote-stream.ts";

/** The requests of one session by their handle, and how a frame's rows reach them. */
export interface RunningRequests {
  add(handle: number, stream: RemoteStream): void;
  /** False if it is not running (any more). */
  forget(handle: number): boolean;
  /** Fails one and forgets it. False if it is not running. */
  fail(handle: number, error: unknown): boolean;
  failAll(error: unknown): void;
  handles(): readonly number[];
  /** Fails one once all of its batches that wait for a detail are in. */
  failBehind(handle: number, error: unknown): void;
  /** Some request has no token yet: `readFirst` comes before `read`. */
  readonly hasUnheard: boolean;
  /**
   * Deals out the rows of requests that had no token yet, and resolves when these have gone as far as they can without an
   * event: first tokens are with their clients before anything else of their frame is looked at.
   */
  readFirst(frame: StepFrame): Promise<void>;
  /** Deals out the other rows. */
  read(frame: StepFrame): void;
}

interface Running {
  readonly stream: RemoteStream;
  /** The frame that brought its first tokens. */
  firstFrame: bigint | undefined;
  /** Batches wait behind a detail that comes over the bulk service. */
  behind: Promise<void> | undefined;
}

/** @param fetchDetail fetches a detail that is too large for a frame. */
export function createRunningRequests(fetchDetail: (id: bigint) => Promise<OutputDetail>): RunningRequests {
  const running = new Map<number, Running>();
  const unheard = new Set<number>();

  const forget = (handle: number): boolean => {
    unheard.delete(handle);
    return running.delete(handle);
  };
  const fail = (handle: number, error: unknown): boolean => {
    const request = running.get(handle);
    if (request === undefined) return false;
    forget(handle);
    request.stream.fail(error);
    return true;
  };

  const onRow: RowReader = (handle, firstIndex, ids, wire) => {
    const request = running.get(handle);
    if (request === undefined) return;
    const { stream } = request;
    if (wire === undefined && request.behind === undefined) {
      stream.push(firstIndex, ids, undefined);
      return;
    }
    if (wire?.bulk === undefined && request.behind === undefined) {
      stream.push(firstIndex, ids, wire && detailFromWire(wire));
      if (stream.isOver) forget(handle);
      return;
    }
    const push = async (): Promise<void> => {
      try {
        const detail = wire?.bulk === undefined ? wire : await fetchDetail(wire.bulk);
        stream.push(firstIndex, ids, detail && detailFromWire(detail));
        if (stream.isOver) forget(handle);
      } catch (error) {
        forget(handle);
        stream.fail(error);
      }
    };
    request.behind = request.behind === undefined ? push() : request.behind.then(push);
  };

  return {
    add(handle, stream) {
      running.set(handle, { stream, firstFrame: undefined, behind: undefined });
      unheard.add(handle);
    },
    forget,
    fail,
    failAll(error) {
      for (const { stream } of running.values()) stream.fail(error);
      running.clear();
      unheard.clear();
    },
    handles: () => [...running.keys()],
    failBehind(handle, error) {
      const behind = running.get(handle)?.behind;
      if (behind === undefined) fail(handle, error);
      else void behind.then(() => fail(handle, error));
    },
    get hasUnheard() {
      return unheard.size > 0;
    },
    async readFirst({ sequence, outputs, details }) {
      const before = unheard.size;
      if (outputs === undefined || before === 0) return;
      readRows(outputs, details, (handle, firstIndex, ids, detail) => {
        const request = running.get(handle);
        if (request === undefined) return;
        if (unheard.delete(handle)) request.firstFrame = sequence;
        if (request.firstFrame === sequence) onRow(handle, firstIndex, ids, detail);
      });
      if (unheard.size < before) await microtasksDone();
    },
    read({ sequence, outputs, details }) {
      if (outputs === undefined) return;
      readRows(outputs, details, (handle, firstIndex, ids, detail) => {
        if (running.get(handle)?.firstFrame !== sequence) onRow(handle, firstIndex, ids, detail);
      });
    },
  };
}
