import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { toAddressBatch } from "../native/address-batch.ts";
import { createLocalTable, hasLocalAddresses, nativeError } from "../native/native-work.ts";
import {
  type AddonBatch,
  requireTransferAddon,
  type UcxEndpoint,
  type UcxEngine,
} from "../native/transfer-addon.ts";
import { checkAlive, checkRemoteEpochs, epochBlocks } from "../shm/status-check.ts";
import { asTransferError, transferError } from "../transfer-error.ts";
import { openTcp, type TcpOptions } from "./tcp.ts";
import type {
  Link,
  RegionMemory,
  RemoteAgent,
  RemoteMemory,
  Transport,
  TransportHost,
  Work,
} from "./transport.ts";

/** UCX's library as the loader finds it. */
export const defaultUcxLibrary = "libucp.so.0";

export interface UcxOptions extends TcpOptions {
  /** Library to open. Default `libucp.so.0`. Versions 1.13 to 1.22 are served by one build. */
  readonly library?: string;
}

interface RemoteRanges {
  readonly memory: RemoteMemory;
  readonly pairs: readonly bigint[];
  readonly keys: readonly Uint8Array[];
  readonly segmentBytes: readonly number[];
  readonly statusAddress: bigint;
  readonly statusKey: Uint8Array;
}

/**
 * UCX, opened at run time: RDMA verbs, NVLink, shared memory or TCP, whatever it finds (`UCX_TLS` and the like are the operator's). A thread of the addon
 * drives it. Bounds are checked here before UCX sees an address, since its emulated writes are not checked at the target. Notifications and the peer's
 * end go over a TCP connection of our own protocol beside it.
 *
 * @throws TransferError TRANSFER_NATIVE_UNAVAILABLE when an agent is created with it and the addon or UCX is missing
 */
export function ucx(options: UcxOptions = {}): Transport {
  return {
    name: "ucx",
    async open(host) {
      const addon = requireTransferAddon("The ucx transport");
      if (addon.Ucx === undefined)
        throw transferError(
          "TRANSFER_NATIVE_UNAVAILABLE",
          "The addon was built without UCX's headers: install libucx-dev and run `npm run build:native`.",
        );
      const library = options.library ?? defaultUcxLibrary;
      let engine: UcxEngine;
      try {
        engine = new addon.Ucx(library);
      } catch (error) {
        throw transferError(
          "TRANSFER_NATIVE_UNAVAILABLE",
          `UCX can't be used: ${(error as Error).message}. Install libucx0, or leave the transport out.`,
          { library },
          error,
        );
      }
      const split = (
        peer: RemoteAgent,
      ): { readonly control: Uint8Array; readonly address: Uint8Array } | undefined => {
        const raw = peer.connections.get("ucx");
        if (raw === undefined) return undefined;
        const reader = createByteReader(raw, "UCX address");
        return { control: reader.bytes(4096), address: reader.bytes(65_536) };
      };
      const control = await openTcp(
        "ucx",
        { ...options, dataPath: "typescript" },
        host,
        (peer) => split(peer)?.control,
      );
      const info = createByteWriter().bytes(control.connectionInfo()).bytes(engine.address()).finish();
      const registered = new Map<
        number,
        { readonly region: RegionMemory; readonly exported: Uint8Array; readonly ids: readonly number[] }
      >();
      const unregister = (id: number): void => {
        for (const memory of registered.get(id)?.ids ?? []) engine.unregister(memory);
        registered.delete(id);
      };
      const path = `UCX ${engine.version()}${process.env.UCX_TLS === undefined ? "" : ` (UCX_TLS=${process.env.UCX_TLS})`}`;
      return {
        name: "ucx",
        capabilities: {
          scope: "network",
          memory: ["host"],
          isOneSided: false,
          acknowledges: "remote",
          boundsCheckedBy: "initiator",
          carriesNotifications: true,
        },
        connectionInfo: () => info,
        exportRegion(region) {
          const { segments, status } = region;
          if (segments === undefined || status === undefined)
            return { reason: "the region has no addresses in its process" };
          const known = registered.get(region.id);
          if (known?.region === region) return known.exported;
          const ids: number[] = [];
          const writer = createByteWriter(256).u32(segments.length);
          for (const view of [
            ...segments,
            new Uint8Array(status.buffer, status.byteOffset, status.byteLength),
          ]) {
            const memory = engine.register(view);
            ids.push(memory.id);
            writer.u64(memory.address).offset(view.byteLength).bytes(memory.key);
          }
          const exported = Uint8Array.from(writer.finish());
          registered.set(region.id, { region, exported, ids });
          return exported;
        },
        forgetRegion: unregister,
        reach(peer, _local, remote) {
          if (split(peer) === undefined)
            return { isReachable: false, reason: "the peer has no ucx transport" };
          if (remote !== undefined && !remote.exported.has("ucx"))
            return { isReachable: false, reason: "the peer's region has no addresses" };
          return { isReachable: true, path, bytesPerSecond: 5e9, latencyMicros: 20 };
        },
        async connect(peer, signal) {
          const link = await control.connect(peer, signal);
          try {
            const endpoint = engine.connect(split(peer)?.address ?? new Uint8Array(0));
            return createUcxLink(host, peer, engine, endpoint, link);
          } catch (error) {
            await link.close();
            throw asTransferError(error, "ucx");
          }
        },
        async close() {
          await control.close();
          for (const id of [...registered.keys()]) unregister(id);
          engine.close();
        },
      };
    },
  };
}

function readRanges(peer: RemoteAgent, id: number): RemoteRanges {
  const memory = peer.memory(id);
  const exported = memory?.exported.get("ucx");
  if (memory === undefined || exported === undefined)
    throw transferError("TRANSFER_REGION_GONE", `Peer ${peer.name} has published no region ${id}.`, {
      region: id,
    });
  const reader = createByteReader(exported, "UCX region");
  const count = reader.count(20);
  const pairs: bigint[] = [];
  const keys: Uint8Array[] = [];
  const segmentBytes: number[] = [];
  let total = 0;
  for (let i = 0; i < count; i += 1) {
    const address = reader.u64();
    const bytes = reader.offset();
    pairs.push(address, BigInt(bytes));
    keys.push(reader.bytes(4096));
    segmentBytes.push(bytes);
    total += bytes;
  }
  const statusAddress = reader.u64();
  const statusWords = reader.offset() / 8;
  const statusKey = reader.bytes(4096);
  if (total !== memory.bytes || statusWords < 1 + epochBlocks(memory))
    throw transferError(
      "TRANSFER_METADATA_INVALID",
      `The parts of region ${id} of ${peer.name} don't add up.`,
    );
  return { memory, pairs, keys, segmentBytes, statusAddress, statusKey };
}

function createUcxLink(
  host: TransportHost,
  peer: RemoteAgent,
  engine: UcxEngine,
  endpoint: UcxEndpoint,
  control: Link,
): Link {
  const running = new Map<Work, { isCancelled: boolean; stop: () => void }>();
  let isClosing = false;
  const transfer = (
    isRead: boolean,
    batch: AddonBatch,
    views: readonly Uint8Array[],
    pairs: BigUint64Array,
    keys: readonly Uint8Array[],
    onStop: (stop: () => void) => void,
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      onStop(
        engine.transfer(endpoint, isRead, batch, views, pairs, keys, (isComplete, message) => {
          // The closure holds the views until UCX is through with them.
          void views;
          if (isComplete) resolve();
          else if (message === undefined)
            reject(transferError("TRANSFER_CANCELLED", "The transfer was cancelled."));
          else
            reject(
              transferError("TRANSFER_TRANSPORT_FAILED", `UCX to ${peer.name}: ${message}.`, {
                peer: peer.name,
                transport: "ucx",
                status: message,
              }),
            );
        }),
      );
    });
  const readWords = async (
    ranges: RemoteRanges,
    onStop: (stop: () => void) => void,
  ): Promise<BigUint64Array> => {
    const words = new BigUint64Array(1 + epochBlocks(ranges.memory));
    const batch: AddonBatch = {
      runs: 1,
      localRegion: Uint32Array.of(0),
      localOffset: Float64Array.of(0),
      localStride: Float64Array.of(words.byteLength),
      remoteRegion: Uint32Array.of(0),
      remoteOffset: Float64Array.of(0),
      remoteStride: Float64Array.of(words.byteLength),
      pieceBytes: Float64Array.of(words.byteLength),
      pieces: Uint32Array.of(1),
    };
    await transfer(
      true,
      batch,
      [new Uint8Array(words.buffer)],
      BigUint64Array.of(ranges.statusAddress, BigInt(words.byteLength)),
      [ranges.statusKey],
      onStop,
    );
    return words;
  };
  const run = async (work: Work, onStop: (stop: () => void) => void): Promise<void> => {
    const regions = new Map<number, RemoteRanges>();
    const get = (id: number): RemoteRanges => {
      let region = regions.get(id);
      if (region === undefined) regions.set(id, (region = readRanges(peer, id)));
      return region;
    };
    for (let i = 0; i < work.batch.runs; i += 1) get(work.batch.remoteRegion[i] as number);
    for (const check of work.epochs) get(check.region);
    if (!hasLocalAddresses(host, work))
      throw transferError(
        "TRANSFER_PATH_UNAVAILABLE",
        "A local region has no addresses in this process: ucx can't use it.",
      );
    const verify = async (): Promise<void> => {
      for (const [id, ranges] of regions) {
        const words = await readWords(ranges, onStop);
        const read = (first: number, target: BigUint64Array): void =>
          target.set(words.subarray(first, first + target.length));
        checkAlive(ranges.memory, read);
        for (const check of work.epochs)
          if (check.region === id) checkRemoteEpochs(ranges.memory, check, read);
      }
    };
    await verify();
    const local = createLocalTable(host);
    const pairs: bigint[] = [];
    const keys: Uint8Array[] = [];
    const batch = toAddressBatch(
      work.batch,
      (id) => local.region(id),
      (id) => {
        const ranges = get(id);
        const firstIndex = keys.length;
        pairs.push(...ranges.pairs);
        keys.push(...ranges.keys);
        return { firstIndex, segmentBytes: ranges.segmentBytes };
      },
    );
    await transfer(work.operation === "read", batch, local.views, BigUint64Array.from(pairs), keys, onStop);
    await verify();
  };
  return {
    get isOpen() {
      return control.isOpen && !isClosing;
    },
    post(work) {
      const state = { isCancelled: false, stop: (): void => undefined };
      running.set(work, state);
      const end = (error: unknown): void => {
        running.delete(work);
        work.settle(
          error === undefined ? undefined : asTransferError(nativeError(error, peer.name, "ucx"), "ucx"),
        );
      };
      run(work, (stop) => {
        state.stop = stop;
        if (state.isCancelled) stop();
      }).then(() => end(undefined), end);
    },
    cancel(work) {
      const state = running.get(work);
      if (state === undefined) return;
      state.isCancelled = true;
      state.stop();
    },
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    async close() {
      isClosing = true;
      engine.disconnect(endpoint);
      await control.close();
    },
  };
}
