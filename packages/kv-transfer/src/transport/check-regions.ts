import { transferError } from "../transfer-error.ts";
import type { RegionMemory, RemoteMemory, RunBatch, TransportHost } from "./transport.ts";

/** A region of this agent. @throws TransferError TRANSFER_REGION_GONE */
export function liveRegion(host: TransportHost, id: number): RegionMemory {
  const region = host.region(id);
  if (region === undefined)
    throw transferError("TRANSFER_REGION_GONE", `Region ${id} was deregistered.`, { region: id });
  return region;
}

/** Where the initiator checks bounds: every piece of a run lies in the peer's region. @throws TransferError TRANSFER_OUT_OF_BOUNDS */
export function checkRemotePieces(
  batch: RunBatch,
  run: number,
  region: Pick<RemoteMemory, "id" | "bytes">,
): void {
  const offset = batch.remoteOffset[run] as number;
  const last = offset + (batch.remoteStride[run] as number) * ((batch.pieces[run] as number) - 1);
  const bytes = batch.pieceBytes[run] as number;
  if (!(offset >= 0 && bytes >= 1 && last + bytes <= region.bytes && offset + bytes <= region.bytes))
    throw transferError(
      "TRANSFER_OUT_OF_BOUNDS",
      `Offset ${offset}, length ${bytes} is outside region ${region.id} of the peer.`,
      { region: region.id, index: run },
    );
}
