import { hasLocalAddresses } from "../native/native-work.ts";
import { createPlannedLink } from "../native/planned-link.ts";
import type { TransferAddon } from "../native/transfer-addon.ts";
import { asTransferError } from "../transfer-error.ts";
import type { Link, TransportHost, Work } from "../transport/transport.ts";
import { createFileCopies } from "./file-link.ts";
import type { OpenedRegion } from "./opened-region.ts";

export interface SharedLinkOptions {
  readonly host: TransportHost;
  readonly peerName: string;
  readonly addon: TransferAddon | undefined;
  readonly control: Link;
  open(id: number): OpenedRegion;
  release(region: OpenedRegion): void;
}

/** Over a peer's shared memory: plain copies where the addon maps it, else through its file. */
export function createSharedLink({ host, peerName, addon, control, open, release }: SharedLinkOptions): Link {
  const files = createFileCopies(host, open, release);
  const mapped =
    addon === undefined
      ? undefined
      : createPlannedLink<OpenedRegion>({
          transport: "shm",
          host,
          peerName,
          addon,
          control,
          region: open,
          isCurrent: (region) => !region.isDropped,
          plan: (batch, views, regions) =>
            addon.planCopy(
              batch,
              views,
              regions.map((region) => region.view as Uint8Array),
              regions.map((region) => region.status as BigUint64Array),
            ),
          onBusy(regions) {
            for (const region of regions) region.uses += 1;
          },
          onIdle(regions) {
            for (const region of regions) {
              region.uses -= 1;
              release(region);
            }
          },
        });
  const canMap = (work: Work): boolean => {
    let last = -1;
    for (let run = 0; run < work.batch.runs; run += 1) {
      const id = work.batch.remoteRegion[run] as number;
      if (id !== last && open(id).view === undefined) return false;
      last = id;
    }
    return hasLocalAddresses(host, work);
  };
  return {
    get isOpen() {
      return control.isOpen;
    },
    post(work) {
      if (mapped === undefined) return files.post(work);
      // Batches that have gone over mapped memory once are known to be able to.
      if (!mapped.hasPlanned(work.batch)) {
        try {
          if (!canMap(work)) return files.post(work);
        } catch (error) {
          return work.settle(asTransferError(error, "shm"));
        }
      }
      mapped.post(work);
    },
    cancel(work) {
      mapped?.cancel(work);
      files.cancel(work);
    },
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    close: () => mapped?.close() ?? control.close(),
  };
}
