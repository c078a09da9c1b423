import { closeSync } from "node:fs";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import type { TransferAddon } from "../native/transfer-addon.ts";
import type { PeerRegion } from "../shm/peer-regions.ts";
import { openSharedFile, readFully, statusBytes } from "../shm/shared-file.ts";
import { epochBlocks, type ReadStatus } from "../shm/status-check.ts";
import { transferError } from "../transfer-error.ts";
import type { RegionMemory, RemoteAgent, RemoteMemory } from "../transport/transport.ts";
import type { DeviceBacking, GpuContext, GpuMemory } from "./gpu.ts";

/** What a peer says of its region. */
export interface ExportedDevice {
  readonly kind: "ipc" | "fd";
  readonly uuid: string;
  /** Of the whole allocation. */
  readonly bytes: number;
  readonly handle: Uint8Array;
  readonly statusName: string;
  readonly statusOffset: number;
}

/** A peer's region, opened in this process. */
export interface DeviceRegion extends PeerRegion {
  readonly memory: RemoteMemory;
  readonly device: GpuMemory;
  readonly context: GpuContext;
  readonly readStatus: ReadStatus;
}

export function writeDevice(backing: DeviceBacking): Uint8Array {
  return Uint8Array.from(
    createByteWriter(256)
      .u8(backing.kind === "fd" ? 1 : 0)
      .text(backing.device.uuid)
      .offset(backing.memory.bytes)
      .bytes(backing.kind === "fd" ? new Uint8Array(0) : backing.memory.ipcHandle())
      .text(backing.status.name)
      .offset(backing.status.offset)
      .finish(),
  );
}

export function readDevice(exported: Uint8Array): ExportedDevice {
  const reader = createByteReader(exported, "Device region");
  return {
    kind: reader.u8() === 1 ? "fd" : "ipc",
    uuid: reader.text(128),
    bytes: reader.offset(),
    handle: reader.bytes(64),
    statusName: reader.text(256),
    statusOffset: reader.offset(),
  };
}

export interface OpenDeviceOptions {
  readonly addon: TransferAddon | undefined;
  readonly directory: string;
  /** Socket on which the peer hands out file descriptors. */
  readonly fdSocket: string;
  readonly peer: RemoteAgent;
  readonly id: number;
  contextOf(uuid: string): GpuContext | undefined;
  /** The peer's region where the peer is in this process: a driver does not open a legacy handle that it has made itself. */
  readonly resident: RegionMemory | undefined;
}

/** Opens a peer's region by the handle that its metadata names. */
export function openDevice(options: OpenDeviceOptions): DeviceRegion {
  const { peer, id, directory } = options;
  const memory = peer.memory(id);
  const raw = memory?.exported.get("cuda");
  if (memory === undefined || raw === undefined)
    throw transferError("TRANSFER_REGION_GONE", `Peer ${peer.name} has published no device region ${id}.`, {
      region: id,
    });
  const exported = readDevice(raw);
  const context = options.contextOf(exported.uuid);
  if (context === undefined)
    throw transferError("TRANSFER_PATH_UNAVAILABLE", `GPU ${exported.uuid} is not visible here.`);
  if (exported.bytes < memory.bytes)
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      `Region ${id} of ${peer.name} is larger than its memory.`,
    );
  const need = exported.statusOffset + statusBytes(epochBlocks(memory));
  const fd = openSharedFile(directory, exported.statusName, need);
  const resident = exported.kind === "ipc" ? options.resident?.device?.memory : undefined;
  let device: GpuMemory;
  try {
    device = resident ?? openHandle(options, exported, memory, context);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return {
    memory,
    device,
    context,
    uses: 0,
    isDropped: false,
    readStatus: (first, target) =>
      readFully(fd, new Uint8Array(target.buffer), exported.statusOffset + 8 * first),
    close() {
      closeSync(fd);
      if (resident === undefined) device.close();
    },
  };
}

function openHandle(
  { addon, fdSocket, peer, id }: OpenDeviceOptions,
  exported: ExportedDevice,
  memory: RemoteMemory,
  context: GpuContext,
): GpuMemory {
  const gone = (why: string, cause?: unknown) =>
    transferError(
      "TRANSFER_REGION_GONE",
      `Device memory of ${peer.name} can't be opened: ${why}.`,
      { peer: peer.name, region: id },
      cause,
    );
  if (exported.kind === "ipc") {
    try {
      return context.openIpc(exported.handle, exported.bytes);
    } catch (error) {
      throw gone((error as Error).message, error);
    }
  }
  if (addon === undefined)
    throw transferError(
      "TRANSFER_NATIVE_UNAVAILABLE",
      "Device memory that is shared by file descriptor needs the native addon of @stator/kv-transfer.",
    );
  let fd: number | undefined;
  try {
    fd = addon.receiveFd(fdSocket, BigInt(id), memory.key);
  } catch (error) {
    throw gone((error as Error).message, error);
  }
  if (fd === undefined) throw gone(`it has no region ${id} with that key`);
  try {
    return context.openShareable(fd, exported.bytes);
  } catch (error) {
    throw gone((error as Error).message, error);
  } finally {
    addon.closeFd(fd);
  }
}
