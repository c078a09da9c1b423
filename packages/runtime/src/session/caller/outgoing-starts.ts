import { create } from "@bufbuild/protobuf";
import { StartSchema, type Start } from "@stator/contracts";
import { pieceBytes, requestBytes } from "../limits.ts";

/** Encoded requests on their way out, in pieces. */
export interface OutgoingStarts {
  readonly isEmpty: boolean;
  add(handle: number, bytes: Uint8Array): void;
  /** Takes one back. Returns whether the worker heard of it. */
  remove(handle: number): boolean;
  /** Pieces for one message; calls `onWhole` for each request whose last piece is among them. */
  take(onWhole: (handle: number) => void): Start[];
}

interface Outgoing {
  readonly handle: number;
  readonly bytes: Uint8Array;
  sent: number;
}

export function createOutgoingStarts(): OutgoingStarts {
  const waiting: Outgoing[] = [];
  return {
    get isEmpty() {
      return waiting.length === 0;
    },
    add(handle, bytes) {
      waiting.push({ handle, bytes, sent: 0 });
    },
    remove(handle) {
      const at = waiting.findIndex((each) => each.handle === handle);
      if (at < 0) return true;
      const [removed] = waiting.splice(at, 1);
      return removed !== undefined && removed.sent > 0;
    },
    take(onWhole) {
      const starts: Start[] = [];
      let left = requestBytes;
      while (left > 0) {
        const next = waiting.shift();
        if (next === undefined) break;
        const part = next.bytes.subarray(next.sent, next.sent + pieceBytes);
        starts.push(create(StartSchema, { handle: next.handle, totalBytes: next.bytes.length, part }));
        next.sent += part.length;
        left -= part.length;
        // A long one goes behind the others, so that short ones need not wait for all of it.
        if (next.sent < next.bytes.length) waiting.push(next);
        else onWhole(next.handle);
      }
      return starts;
    },
  };
}
