import { transferError } from "../transfer-error.ts";
import type { OpenTransport, Reach, RegionMemory, RemoteMemory, RunBatch } from "../transport/transport.ts";
import { createBatchBuilder } from "./descriptors.ts";
import type { PeerEntry } from "./peer-entry.ts";
import type { RegionInternal } from "./region.ts";
import type { PathCandidate, PathExplanation, TransferRequest } from "./transfer-agent.ts";

/** A part of a transfer and the transport that it takes. */
export interface Route {
  readonly transport: OpenTransport;
  readonly batch: RunBatch;
  readonly names: readonly string[];
}

export interface RouteContext {
  /** Most preferred first. */
  readonly transports: readonly OpenTransport[];
  readonly entry: PeerEntry;
  localRegion(id: number): RegionInternal | undefined;
  /** A slower way than the preferred one is used. */
  onFallback(transport: OpenTransport, preferred: OpenTransport, reason: string): void;
}

/** Divides a batch among the best acceptable transports of each pair of regions. Throws TRANSFER_REGION_GONE or TRANSFER_PATH_UNAVAILABLE. */
export type Router = (whole: RunBatch, excluded: ReadonlySet<OpenTransport>) => Route[];

export function createRouter(request: TransferRequest, context: RouteContext): Router {
  const { entry, transports } = context;
  const isAcceptable = (transport: OpenTransport, reach: Reach): boolean => {
    const need = request.require;
    if (!reach.isReachable) return false;
    if (need?.transports !== undefined && !need.transports.includes(transport.name)) return false;
    return need?.bytesPerSecond === undefined || reach.bytesPerSecond >= need.bytesPerSecond;
  };
  const choose = (localId: number, remoteId: number, excluded: ReadonlySet<OpenTransport>): OpenTransport => {
    const local = context.localRegion(localId);
    const remote = entry.record.memory(remoteId);
    if (local === undefined)
      throw transferError("TRANSFER_REGION_GONE", `Region ${localId} was deregistered.`, { region: localId });
    if (remote === undefined)
      throw transferError(
        "TRANSFER_REGION_GONE",
        `Peer ${entry.record.name} has published no region ${remoteId}.`,
        { peer: entry.record.name, region: remoteId },
      );
    const reasons: string[] = [];
    let cooling: OpenTransport | undefined;
    let preferred: { transport: OpenTransport; reason: string } | undefined;
    for (const transport of transports) {
      const reach = entry.reach(transport, local, remote);
      if (!isAcceptable(transport, reach)) {
        const reason = reach.isReachable ? "not among what the transfer requires" : reach.reason;
        reasons.push(`${transport.name}: ${reason}`);
        // A way inside the process is no slow path that somebody misses between processes.
        if (transport.capabilities.scope !== "process") preferred ??= { transport, reason };
        continue;
      }
      if (excluded.has(transport)) {
        reasons.push(`${transport.name}: failed just now`);
        continue;
      }
      if (entry.isCooling(transport)) {
        cooling ??= transport;
        continue;
      }
      if (preferred !== undefined) context.onFallback(transport, preferred.transport, preferred.reason);
      return transport;
    }
    if (cooling !== undefined) return cooling;
    throw transferError(
      "TRANSFER_PATH_UNAVAILABLE",
      `No acceptable way to ${entry.record.name} for region ${remoteId}: ${reasons.join("; ") || "no transports"}.`,
      {
        peer: entry.record.name,
        reasons,
      },
    );
  };
  return (whole, excluded) => {
    const chosen = new Map<number, OpenTransport>();
    const groups = new Map<OpenTransport, number[]>();
    let lastKey = -1;
    let last: number[] | undefined;
    for (let run = 0; run < whole.runs; run += 1) {
      const l = whole.localRegion[run] as number;
      const r = whole.remoteRegion[run] as number;
      const key = l * 0x1_0000_0000 + r;
      if (key !== lastKey || last === undefined) {
        let transport = chosen.get(key);
        if (transport === undefined) chosen.set(key, (transport = choose(l, r, excluded)));
        last = groups.get(transport);
        if (last === undefined) groups.set(transport, (last = []));
        lastKey = key;
      }
      last.push(run);
    }
    if (groups.size === 1) {
      const transport = [...groups.keys()][0] as OpenTransport;
      return [{ transport, batch: whole, names: [transport.name] }];
    }
    return [...groups].map(([transport, runs]) => {
      const builder = createBatchBuilder(runs.length);
      for (const run of runs)
        builder.add(
          whole.localRegion[run] as number,
          whole.localOffset[run] as number,
          whole.localStride[run] as number,
          whole.remoteRegion[run] as number,
          whole.remoteOffset[run] as number,
          whole.remoteStride[run] as number,
          whole.pieceBytes[run] as number,
          whole.pieces[run] as number,
        );
      return { transport, batch: builder.finish(), names: [transport.name] };
    });
  };
}

/** Every way to a peer and why it is taken or not, before anything moves. */
export function explainPath(
  entry: PeerEntry,
  transports: readonly OpenTransport[],
  local: RegionMemory | undefined,
  remote: RemoteMemory | undefined,
  bytes: number | undefined,
): PathExplanation {
  const candidates: PathCandidate[] = transports.map((transport) => {
    const reach = entry.reach(transport, local, remote);
    if (reach.isReachable && entry.isCooling(transport))
      return {
        transport: transport.name,
        reach: { isReachable: false, reason: "failed a moment ago and is cooling down" },
      };
    return { transport: transport.name, reach };
  });
  const chosen = candidates.find((candidate) => candidate.reach.isReachable);
  const reach = chosen?.reach.isReachable === true ? chosen.reach : undefined;
  return {
    peer: entry.peer.name,
    chosen: chosen?.transport,
    path: reach?.path,
    estimatedMicros:
      reach === undefined || bytes === undefined
        ? undefined
        : reach.latencyMicros + (bytes / reach.bytesPerSecond) * 1e6,
    candidates,
  };
}
