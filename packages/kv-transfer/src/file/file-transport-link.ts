import { hasLocalAddresses } from "../native/native-work.ts";
import { createPlannedLink } from "../native/planned-link.ts";
import type { TransferAddon } from "../native/transfer-addon.ts";
import { createFileCopies } from "../shm/file-link.ts";
import type { Link, TransportHost, Work } from "../transport/transport.ts";
import type { FileRegion } from "./file-region.ts";

export interface FileLinkOptions {
  readonly host: TransportHost;
  readonly peerName: string;
  readonly addon: TransferAddon | undefined;
  readonly hasRings: boolean;
  readonly control: Link;
  open(id: number): FileRegion;
  release(region: FileRegion): void;
}

/** Over a peer's files: by the addon's threads where local memory has addresses, else by TypeScript, in turns of the event loop. */
export function createFileLink(options: FileLinkOptions): Link {
  const { host, addon, control, open, release } = options;
  const copies = createFileCopies(host, open, (region) => release(region as FileRegion));
  const planned =
    addon === undefined
      ? undefined
      : createPlannedLink<FileRegion>({
          transport: "file",
          host,
          peerName: options.peerName,
          addon,
          control,
          // A disk may take its time: the event loop never waits for it.
          inlineBytes: 0,
          region: open,
          isCurrent: (region) => !region.isDropped,
          plan: (batch, views, regions) =>
            addon.planFiles(
              batch,
              views,
              Float64Array.from(
                regions.flatMap((region) => [
                  region.fd,
                  region.direct,
                  region.memory.bytes,
                  region.statusOffset,
                ]),
              ),
              options.hasRings,
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
  return {
    get isOpen() {
      return control.isOpen;
    },
    post(work: Work) {
      if (planned === undefined || !hasLocalAddresses(host, work)) copies.post(work);
      else planned.post(work);
    },
    cancel(work) {
      planned?.cancel(work);
      copies.cancel(work);
    },
    notify: (message) => control.notify?.(message) ?? Promise.resolve(),
    close: () => planned?.close() ?? control.close(),
  };
}
