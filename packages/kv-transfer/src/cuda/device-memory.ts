import { allocateSharedFile } from "../shm/shared-file.ts";
import { transferError } from "../transfer-error.ts";
import type { AllocatedMemory, EpochTable } from "../transport/transport.ts";
import type { GpuContext, GpuMemory } from "./gpu.ts";

export interface DeviceMemoryOptions {
  readonly context: GpuContext;
  /** Where the status words lie, for all processes of this host. */
  readonly directory: string;
  readonly name: string;
  readonly bytes: number;
  readonly blockBytes: number | undefined;
  /** Mapped memory that is shared by file descriptor, in place of legacy IPC. */
  readonly isMapped: boolean;
}

/** A region in device memory. Its status words lie in a small file in host memory, which peers read before and after they copy. */
export function allocateDevice(options: DeviceMemoryOptions): AllocatedMemory {
  const { context, bytes, blockBytes, isMapped } = options;
  let memory: GpuMemory;
  try {
    memory = isMapped ? context.allocateShareable(bytes, ["fd"]) : context.allocate(bytes);
  } catch (error) {
    throw transferError(
      "TRANSFER_LIMIT",
      `No device memory of ${bytes} bytes on ${context.device.name}: ${(error as Error).message}`,
      { bytes, device: context.device.index },
      error,
    );
  }
  // Freed memory of others must not be readable through a region that was never written.
  context.fill(memory, 0);
  const blocks = blockBytes === undefined ? 0 : Math.ceil(bytes / blockBytes);
  let words: AllocatedMemory;
  try {
    // A byte of data for each block, so that there is a status word for each.
    words = allocateSharedFile(
      options.directory,
      options.name,
      Math.max(1, blocks),
      blocks === 0 ? undefined : 1,
    );
  } catch (error) {
    memory.close();
    throw error;
  }
  const table = words.epochs;
  const epochs: EpochTable | undefined =
    table === undefined || blockBytes === undefined
      ? undefined
      : {
          blocks: table.blocks,
          blockBytes,
          get: (block) => table.get(block),
          bump: (block) => table.bump(block),
        };
  return {
    memory: "device",
    segments: undefined,
    status: undefined,
    shared: undefined,
    epochs,
    device: {
      memory,
      device: context.device,
      kind: isMapped ? "fd" : "ipc",
      status: { name: options.name, offset: words.shared?.statusOffset ?? 0 },
    },
    gather(offset, length) {
      const copy = new Uint8Array(length);
      context.copy(copy, memory, { sourceOffset: offset, bytes: length });
      return copy;
    },
    scatter(offset, source) {
      context.copy(memory, source, { targetOffset: offset, bytes: source.byteLength });
    },
    free() {
      void words.free();
      memory.close();
    },
  };
}
