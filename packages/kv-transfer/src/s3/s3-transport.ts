import type { S3Client } from "@aws-sdk/client-s3";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { openTcp, type TcpOptions } from "../transport/tcp.ts";
import { transferError } from "../transfer-error.ts";
import type { AllocatedMemory, RemoteAgent, Transport } from "../transport/transport.ts";
import { createObjectLink } from "./object-link.ts";
import { exportObjects, objectRegion, type ObjectRegion, readObjects } from "./object-region.ts";
import { createObjectStore } from "./object-store.ts";

/** Bytes of an object unless told otherwise. */
export const defaultChunkBytes: number = 4 * 1024 * 1024;
const defaultRequestsAtOnce = 16;

export interface S3TransportOptions extends Omit<TcpOptions, "dataPath" | "connections"> {
  /** The caller's: its credentials, region, endpoint, retries and sockets. It stays open. */
  readonly client: S3Client;
  readonly bucket: string;
  /** Begins every key, `kv/` for instance; the same for all agents that share regions. Default none. */
  readonly prefix?: string;
  /** Bytes of an object. What is written in whole chunks costs one request each, parts of a chunk two. Default 4 MiB. */
  readonly chunkBytes?: number;
  /** Requests that a transfer makes at a time, 1 or more. Default 16. */
  readonly requestsAtOnce?: number;
}

/**
 * Regions in an S3 bucket, or in anything that speaks its protocol: `agent.allocate({ bytes, memory: "object" })` makes one, agents with the same bucket
 * read and write it in ranges and chunks. Such a region has no epochs and no synchronous `read` and `write`: transfer to and from the agent itself. Its objects go
 * with `deregister`; let a lifecycle rule take those of processes that died. Notifications go over a TCP connection beside it.
 */
export function s3(options: S3TransportOptions): Transport {
  const {
    bucket,
    prefix = "",
    chunkBytes = defaultChunkBytes,
    requestsAtOnce = defaultRequestsAtOnce,
  } = options;
  if (!Number.isSafeInteger(chunkBytes) || chunkBytes < 1)
    throw transferError("TRANSFER_OPTION_INVALID", "s3: chunkBytes must be a positive integer.", {
      chunkBytes,
    });
  if (!Number.isSafeInteger(requestsAtOnce) || requestsAtOnce < 1)
    throw transferError("TRANSFER_OPTION_INVALID", "s3: requestsAtOnce must be a positive integer.", {
      requestsAtOnce,
    });
  return {
    name: "s3",
    async open(host) {
      const store = createObjectStore(options);
      const split = (
        peer: RemoteAgent,
      ): { readonly control: Uint8Array; readonly place: string } | undefined => {
        const raw = peer.connections.get("s3");
        if (raw === undefined) return undefined;
        const reader = createByteReader(raw, "S3 transport");
        return { control: reader.bytes(4096), place: reader.text(4096) };
      };
      const control = await openTcp(
        "s3",
        { ...options, dataPath: "typescript" },
        host,
        (peer) => split(peer)?.control,
      );
      const place = `${bucket}/${prefix}`;
      const info = createByteWriter().bytes(control.connectionInfo()).text(place).finish();
      const own = new Map<string, Uint8Array>();
      let nextRegion = 0;
      return {
        name: "s3",
        capabilities: {
          scope: "network",
          memory: ["object", "host"],
          isOneSided: true,
          acknowledges: "remote",
          boundsCheckedBy: "initiator",
          carriesNotifications: true,
        },
        allocates: "object",
        connectionInfo: () => info,
        exportRegion: (region) =>
          own.get(region.shared?.name ?? "") ?? {
            reason: "the region is memory, not objects of this bucket",
          },
        reach(peer, _local, remote) {
          const there = split(peer);
          if (there === undefined) return { isReachable: false, reason: "the peer has no s3 transport" };
          if (there.place !== place)
            return {
              isReachable: false,
              reason: `the peer's objects are in ${there.place}, not in ${place}`,
            };
          if (remote !== undefined && !remote.exported.has("s3"))
            return { isReachable: false, reason: "the peer's region is no objects" };
          return {
            isReachable: true,
            path: `objects in ${place} by S3`,
            bytesPerSecond: 1e9,
            latencyMicros: 10_000,
          };
        },
        async connect(peer, signal) {
          const link = await control.connect(peer, signal);
          const known = new Map<number, ObjectRegion>();
          const region = (id: number): ObjectRegion => {
            // Asked anew each time whether it is still published.
            const seen = known.get(id);
            if (seen !== undefined && peer.memory(id) !== undefined) return seen;
            const found = readObjects(peer, id, prefix);
            known.set(id, found);
            return found;
          };
          return createObjectLink({ host, peer, store, control: link, requestsAtOnce, region });
        },
        async allocate(bytes, epochs) {
          if (epochs !== undefined)
            throw transferError(
              "TRANSFER_OPTION_INVALID",
              "A region of objects has no epochs: leave out blockBytes, and give each block a region or a key of its own.",
            );
          nextRegion += 1;
          const name = `${host.incarnation}/${nextRegion}`;
          const region = objectRegion(`${prefix}${name}`, bytes, chunkBytes);
          await store.put(region.lifeKey, new Uint8Array(1));
          own.set(name, exportObjects(name, chunkBytes));
          return objectMemory(name, async () => {
            own.delete(name);
            await store.delete([region.lifeKey]);
            await store.delete(Array.from({ length: region.chunks }, (_, chunk) => region.chunkKey(chunk)));
          });
        },
        close: () => control.close(),
      };
    },
  };
}

function objectMemory(name: string, free: () => Promise<void>): AllocatedMemory {
  const refuse = (): never => {
    throw transferError(
      "TRANSFER_PATH_UNAVAILABLE",
      "A region of objects can't be read or written within a call: use a transfer, with this agent as its own peer.",
    );
  };
  return {
    memory: "object",
    segments: undefined,
    status: undefined,
    shared: { kind: "object", fd: -1, name, statusOffset: 0 },
    epochs: undefined,
    gather: refuse,
    scatter: refuse,
    free,
  };
}
