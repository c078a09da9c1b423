import { asTransferError, transferError } from "../transfer-error.ts";
import { checkRemotePieces } from "../transport/check-regions.ts";
import type { TransportHost, Work } from "../transport/transport.ts";
import { copyThroughFile } from "./file-copy.ts";
import type { OpenedRegion } from "./opened-region.ts";
import { checkAlive, checkRemoteEpochs } from "./status-check.ts";

/** Copied within one turn of the event loop; more goes on in the next one. */
const turnBytes = 4 * 1024 * 1024;

/** Carries work through files in memory, one copy by the kernel each way, giving the event loop its turns. */
export interface FileCopies {
  post(work: Work): void;
  cancel(work: Work): void;
}

export function createFileCopies(
  host: TransportHost,
  open: (id: number) => OpenedRegion,
  release: (region: OpenedRegion) => void,
): FileCopies {
  const stops = new Map<Work, () => void>();
  return {
    cancel: (work) => stops.get(work)?.(),
    post(work) {
      const regions = new Map<number, OpenedRegion>();
      const get = (id: number): OpenedRegion => {
        let region = regions.get(id);
        if (region !== undefined) return region;
        regions.set(id, (region = open(id)));
        region.uses += 1;
        return region;
      };
      const verify = (): void => {
        for (const region of regions.values()) checkAlive(region.memory, region.readStatus);
        for (const check of work.epochs) {
          const region = get(check.region);
          checkRemoteEpochs(region.memory, check, region.readStatus);
        }
      };
      const end = (error: unknown): void => {
        stops.delete(work);
        for (const region of regions.values()) {
          region.uses -= 1;
          release(region);
        }
        work.settle(error === undefined ? undefined : asTransferError(error, "shm"));
      };
      let isStopped = false;
      let steps: Generator<number, void> | undefined;
      const turn = (): void => {
        try {
          for (let bytes = 0; bytes < turnBytes;) {
            if (isStopped) return end(transferError("TRANSFER_CANCELLED", "The transfer was cancelled."));
            const next = steps?.next();
            if (next?.done !== false) {
              verify();
              return end(undefined);
            }
            bytes += next.value;
          }
        } catch (error) {
          return end(error);
        }
        setImmediate(turn);
      };
      try {
        for (let run = 0; run < work.batch.runs; run += 1)
          checkRemotePieces(work.batch, run, get(work.batch.remoteRegion[run] as number).memory);
        verify();
        stops.set(work, () => {
          isStopped = true;
        });
        steps = copyThroughFile(host, work, get);
      } catch (error) {
        return end(error);
      }
      turn();
    },
  };
}
