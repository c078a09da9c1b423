import { checkEpochs } from "../stream/batch-codec.ts";
import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import { checkBounds } from "../agent/region.ts";
import { liveRegion } from "./check-regions.ts";
import type { RegionMemory, RemoteAgent, Transport, TransportHost, Work } from "./transport.ts";

/** Agents of this process by incarnation. Module state because it is the process: two agents find each other in it. */
const agents = new Map<string, TransportHost>();

/** Copies pieces between two mapped regions, checking bounds and epochs of the remote side before and after. */
function copyWork(
  work: Work,
  local: (id: number) => RegionMemory,
  remote: (id: number) => RegionMemory,
): void {
  const { batch } = work;
  for (const check of work.epochs) checkEpochs(remote(check.region), check);
  const isRead = work.operation === "read";
  for (let run = 0; run < batch.runs; run += 1) {
    const here = local(batch.localRegion[run] as number);
    const there = remote(batch.remoteRegion[run] as number);
    const count = batch.pieces[run] as number;
    const bytes = batch.pieceBytes[run] as number;
    const localOffset = batch.localOffset[run] as number;
    const localStride = batch.localStride[run] as number;
    const remoteOffset = batch.remoteOffset[run] as number;
    const remoteStride = batch.remoteStride[run] as number;
    checkBounds(there.id, there.bytes, remoteOffset, bytes, run);
    checkBounds(there.id, there.bytes, remoteOffset + remoteStride * (count - 1), bytes, run);
    for (let k = 0; k < count; k += 1) {
      const l = localOffset + k * localStride;
      const r = remoteOffset + k * remoteStride;
      if (isRead) here.scatter(l, there.gather(r, bytes));
      else there.scatter(r, here.gather(l, bytes));
    }
  }
  for (const check of work.epochs) checkEpochs(remote(check.region), check);
}

/** Between agents of one process, and of an agent to itself: a plain copy, done when `post` returns. */
export function loopback(): Transport {
  return {
    name: "loopback",
    open(host) {
      agents.set(host.incarnation, host);
      const find = (peer: RemoteAgent): TransportHost | undefined => agents.get(peer.incarnation);
      return Promise.resolve({
        name: "loopback",
        capabilities: {
          scope: "process",
          memory: ["host", "device"],
          isOneSided: true,
          acknowledges: "remote",
          boundsCheckedBy: "target",
          carriesNotifications: true,
        },
        connectionInfo: () => new Uint8Array(0),
        exportRegion: () => new Uint8Array(0),
        reach: (peer) =>
          find(peer) === undefined
            ? { isReachable: false, reason: "the peer is not in this process" }
            : { isReachable: true, path: "copy within the process", bytesPerSecond: 10e9, latencyMicros: 1 },
        connect(peer) {
          let isOpen = true;
          const gone = (): TransferError =>
            transferError("TRANSFER_PEER_LOST", `Agent ${peer.name} was closed.`, { peer: peer.name });
          const local = (id: number): RegionMemory => liveRegion(host, id);
          return Promise.resolve({
            get isOpen() {
              return isOpen && find(peer) !== undefined;
            },
            post(work: Work) {
              const target = find(peer);
              if (target === undefined || !isOpen) return work.settle(gone());
              try {
                const remote = (id: number): RegionMemory => target.admit(id, peer.memory(id)?.key ?? -1n);
                copyWork(work, local, remote);
              } catch (error) {
                return work.settle(asTransferError(error, "loopback"));
              }
              return work.settle(undefined);
            },
            cancel: () => undefined,
            async notify(message) {
              const target = find(peer);
              if (target === undefined || !isOpen) throw gone();
              await target.deliver({ name: host.name, incarnation: host.incarnation }, message);
            },
            close() {
              isOpen = false;
              return Promise.resolve();
            },
          });
        },
        close() {
          agents.delete(host.incarnation);
          return Promise.resolve();
        },
      });
    },
  };
}
