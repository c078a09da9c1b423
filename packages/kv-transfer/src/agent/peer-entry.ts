import type { Clock } from "@stator/core";
import { asTransferError, type TransferError, transferError } from "../transfer-error.ts";
import type { Link, OpenTransport, Reach, RegionMemory, RemoteMemory } from "../transport/transport.ts";
import type { AgentMetadata } from "./metadata.ts";
import { createOutbox } from "./outbox.ts";
import type { Peer, PeerRecord, RemoteRegion } from "./transfer-agent.ts";

/** Pause of a transport to a peer after it failed, doubling up to the limit: rail cool-down as TENT does it. */
const coolDownMs = 1000;
const coolDownLimitMs = 60_000;

interface Rail {
  link: Link | undefined;
  connecting: Promise<Link> | undefined;
  coolUntilMs: number;
  coolMs: number;
}

/** What the agent knows and holds of one peer incarnation. */
export interface PeerEntry {
  readonly peer: Peer;
  readonly record: PeerRecord;
  /** Rises whenever what is known of the peer's regions changes. */
  readonly version: number;
  /** Ends of running transfers, called when the peer is lost. */
  readonly running: Set<(error: TransferError) => void>;
  merge(metadata: AgentMetadata): void;
  reach(transport: OpenTransport, local?: RegionMemory, remote?: RemoteMemory): Reach;
  isCooling(transport: OpenTransport): boolean;
  coolDown(transport: OpenTransport): void;
  /** The open link, without waiting. */
  openLink(transport: OpenTransport): Link | undefined;
  connect(transport: OpenTransport): Promise<Link>;
  lose(error: TransferError): Promise<void>;
}

export interface PeerEntryOptions {
  readonly metadata: AgentMetadata;
  readonly transports: readonly OpenTransport[];
  readonly clock: Clock;
  readonly connectDeadlineMs: number;
}

export function createPeerEntry(options: PeerEntryOptions): PeerEntry {
  const { transports, clock } = options;
  const { name, incarnation } = options.metadata;
  const connections = new Map(options.metadata.connections);
  const memories = new Map<number, RemoteMemory>();
  const regions = new Map<number, RemoteRegion>();
  const rails = new Map<OpenTransport, Rail>();
  const running = new Set<(error: TransferError) => void>();
  const lostListeners = new Set<(error: Error) => void>();
  let loss: TransferError | undefined;
  let version = 0;
  const record: PeerRecord = { name, incarnation, connections, memories, memory: (id) => memories.get(id) };
  const railOf = (transport: OpenTransport): Rail => {
    let rail = rails.get(transport);
    if (rail === undefined)
      rails.set(
        transport,
        (rail = { link: undefined, connecting: undefined, coolUntilMs: 0, coolMs: coolDownMs }),
      );
    return rail;
  };

  const reaches = new Map<
    OpenTransport,
    WeakMap<RemoteMemory, { readonly local: RegionMemory; readonly reach: Reach }>
  >();
  const lookUp = (transport: OpenTransport, local?: RegionMemory, remote?: RemoteMemory): Reach => {
    if (!connections.has(transport.name))
      return { isReachable: false, reason: `the peer has no ${transport.name} transport` };
    const { memory } = transport.capabilities;
    for (const side of [local, remote])
      if (side !== undefined && !memory.includes(side.memory))
        return {
          isReachable: false,
          reason: `${transport.name} carries ${memory.join(" and ")} memory, not ${side.memory}`,
        };
    return transport.reach(record, local, remote);
  };
  const entry: PeerEntry = {
    record,
    running,
    get version() {
      return version;
    },
    merge(metadata) {
      version += 1;
      for (const memory of metadata.regions) {
        const known = memories.get(memory.id);
        if (known !== undefined && (known.key !== memory.key || known.bytes !== memory.bytes))
          throw transferError(
            "TRANSFER_METADATA_INVALID",
            `Peer ${name} changed region ${memory.id} without a new incarnation: invalidate the peer first.`,
            { peer: name, region: memory.id },
          );
      }
      for (const [transport, info] of metadata.connections) connections.set(transport, info);
      for (const memory of metadata.regions) {
        memories.set(memory.id, memory);
        if (!regions.has(memory.id))
          regions.set(memory.id, {
            peer: name,
            id: memory.id,
            bytes: memory.bytes,
            memory: memory.memory,
            blockBytes: memory.blockBytes,
          });
      }
    },
    reach(transport, local, remote) {
      if (local !== undefined && remote !== undefined) {
        // Asked at every post: what an open link has shown to work is not looked up again.
        const known = reaches.get(transport)?.get(remote);
        if (known?.local === local && entry.openLink(transport) !== undefined) return known.reach;
      }
      const reach = lookUp(transport, local, remote);
      if (local !== undefined && remote !== undefined && reach.isReachable) {
        let byRegion = reaches.get(transport);
        if (byRegion === undefined) reaches.set(transport, (byRegion = new WeakMap()));
        byRegion.set(remote, { local, reach });
      }
      return reach;
    },
    isCooling(transport) {
      const until = rails.get(transport)?.coolUntilMs ?? 0;
      return until > 0 && until > clock.now();
    },
    coolDown(transport) {
      const rail = railOf(transport);
      rail.coolUntilMs = clock.now() + rail.coolMs;
      rail.coolMs = Math.min(rail.coolMs * 2, coolDownLimitMs);
    },
    openLink(transport) {
      const link = rails.get(transport)?.link;
      return link?.isOpen === true ? link : undefined;
    },
    connect(transport) {
      const rail = railOf(transport);
      if (rail.link?.isOpen === true) return Promise.resolve(rail.link);
      if (loss !== undefined) return Promise.reject(loss);
      rail.connecting ??= connectRail(transport, rail).finally(() => {
        rail.connecting = undefined;
      });
      return rail.connecting;
    },
    async lose(error) {
      if (loss !== undefined) return;
      loss = error;
      for (const end of [...running]) end(error);
      for (const listener of [...lostListeners]) listener(error);
      lostListeners.clear();
      const links = [...rails.values()].map((rail) => rail.link);
      rails.clear();
      await Promise.all(links.map((link) => link?.close()));
      for (const transport of transports) transport.drop?.(record);
    },
    peer: {
      name,
      incarnation,
      get isCurrent() {
        return loss === undefined;
      },
      get regions() {
        return [...regions.values()];
      },
      region(id) {
        const region = regions.get(id);
        if (region === undefined)
          throw transferError("TRANSFER_REGION_GONE", `Peer ${name} has published no region ${id}.`, {
            peer: name,
            region: id,
          });
        return region;
      },
      notify: (tag, payload) => userOutbox.send(tag, payload ?? new Uint8Array(0)),
      renewLease: (id) => leaseOutbox.send("renew", new TextEncoder().encode(id)),
      releaseLease: (id) => leaseOutbox.send("release", new TextEncoder().encode(id)),
      onLost(listener) {
        if (loss !== undefined) listener(loss);
        else lostListeners.add(listener);
        return () => lostListeners.delete(listener);
      },
      forget(ids) {
        version += 1;
        for (const id of ids) {
          const memory = memories.get(id);
          if (memory !== undefined) for (const transport of transports) transport.drop?.(record, memory);
          memories.delete(id);
          regions.delete(id);
        }
      },
    },
  };
  const connectRail = async (transport: OpenTransport, rail: Rail): Promise<Link> => {
    const abort = new AbortController();
    const timer = clock.schedule(options.connectDeadlineMs, () => abort.abort());
    try {
      const link = await transport.connect(record, abort.signal);
      if (loss !== undefined) {
        await link.close();
        throw loss;
      }
      rail.link = link;
      rail.coolMs = coolDownMs;
      rail.coolUntilMs = 0;
      return link;
    } catch (error) {
      throw asTransferError(error, transport.name);
    } finally {
      timer.cancel();
    }
  };
  const notifyLink = async (
    excluded: ReadonlySet<OpenTransport>,
  ): Promise<{ link: Link; transport: OpenTransport }> => {
    let failure: TransferError | undefined;
    for (const transport of transports) {
      if (
        excluded.has(transport) ||
        !transport.capabilities.carriesNotifications ||
        !entry.reach(transport).isReachable
      )
        continue;
      try {
        return { link: await entry.connect(transport), transport };
      } catch (error) {
        failure ??= asTransferError(error, transport.name);
      }
    }
    throw (
      failure ??
      loss ??
      transferError("TRANSFER_PATH_UNAVAILABLE", `No transport carries notifications to ${name}.`, {
        peer: name,
      })
    );
  };
  const userOutbox = createOutbox("user", notifyLink);
  const leaseOutbox = createOutbox("lease", notifyLink);
  entry.merge(options.metadata);
  return entry;
}
