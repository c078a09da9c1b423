import { liveRegion } from "../transport/check-regions.ts";
import type { RegionMemory, RemoteMemory, TransportHost, Work } from "../transport/transport.ts";
import { readFully, writeFully } from "./shared-file.ts";

/** Copied in one piece at most. */
const partBytes = 4 * 1024 * 1024;

/** A peer's region as an open file. */
interface FileRegion {
  readonly memory: RemoteMemory;
  readonly fd: number;
}

/** Copies a batch piece by piece through the kernel and yields the bytes of each, so that the caller can give way. */
export function* copyThroughFile(
  host: TransportHost,
  work: Work,
  remote: (id: number) => FileRegion,
): Generator<number, void> {
  const { batch } = work;
  const isRead = work.operation === "read";
  for (let run = 0; run < batch.runs; run += 1) {
    const there = remote(batch.remoteRegion[run] as number);
    const here = liveRegion(host, batch.localRegion[run] as number);
    const bytes = batch.pieceBytes[run] as number;
    for (let k = 0; k < (batch.pieces[run] as number); k += 1) {
      const l = (batch.localOffset[run] as number) + k * (batch.localStride[run] as number);
      const r = (batch.remoteOffset[run] as number) + k * (batch.remoteStride[run] as number);
      for (let done = 0; done < bytes;) {
        const take = Math.min(bytes - done, partBytes);
        copyPart(isRead, here, l + done, there.fd, r + done, take);
        done += take;
        yield take;
      }
    }
  }
}

function copyPart(
  isRead: boolean,
  here: RegionMemory,
  localOffset: number,
  fd: number,
  position: number,
  bytes: number,
): void {
  if (!isRead) return writeFully(fd, here.gather(localOffset, bytes), position);
  const view = here.segments?.length === 1 ? here.segments[0] : undefined;
  if (view !== undefined) return readFully(fd, view.subarray(localOffset, localOffset + bytes), position);
  const copy = new Uint8Array(bytes);
  readFully(fd, copy, position);
  here.scatter(localOffset, copy);
}
