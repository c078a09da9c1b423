import { statusEpochs } from "../agent/region.ts";
import type { TransferAddon } from "../native/transfer-addon.ts";
import { transferError } from "../transfer-error.ts";
import type { AllocatedMemory } from "../transport/transport.ts";
import { statusBytes, statusOffsetOf } from "./shared-file.ts";

/** A region in a sealed memfd, mapped here; peers map the same pages. Its status words lie behind the data. */
export function allocateMemfd(
  addon: TransferAddon,
  name: string,
  bytes: number,
  blockBytes: number | undefined,
  onFree: () => void,
): AllocatedMemory {
  const blocks = blockBytes === undefined ? 0 : Math.ceil(bytes / blockBytes);
  const statusOffset = statusOffsetOf(bytes);
  let made: ReturnType<TransferAddon["memfdAllocate"]>;
  try {
    made = addon.memfdAllocate(statusOffset + statusBytes(blocks));
  } catch (error) {
    throw transferError(
      "TRANSFER_LIMIT",
      `No shared memory of ${bytes} bytes: ${(error as Error).message}.`,
      { bytes },
      error,
    );
  }
  const data = new Uint8Array(made.buffer, 0, bytes);
  const status = new BigUint64Array(made.buffer, statusOffset, 1 + blocks);
  Atomics.store(status, 0, 1n);
  return {
    segments: [data],
    status,
    shared: { kind: "memfd", fd: made.fd, name, statusOffset },
    epochs: blockBytes === undefined ? undefined : statusEpochs(status, blockBytes),
    gather: (offset, length) => data.subarray(offset, offset + length),
    scatter: (offset, source) => data.set(source, offset),
    free() {
      onFree();
      Atomics.store(status, 0, 0n);
      addon.closeFd(made.fd);
      // Pages that nobody maps any more go at once; views that the caller kept become empty instead of dangling.
      addon.unmap(made.buffer);
    },
  };
}
