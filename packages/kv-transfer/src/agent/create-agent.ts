// Longer than most: it is the one place where regions, peers, leases, notifications and transports meet.
import { randomBytes } from "node:crypto";
import { noopMeter, silentLogger, sleep, systemClock } from "@stator/core";
import { type TransferError, transferError } from "../transfer-error.ts";
import type { OpenTransport, RegionMemory, TransportHost } from "../transport/transport.ts";
import type { DescribedRegion } from "./descriptors.ts";
import { createInbox } from "./inbox.ts";
import { createAgentCounts } from "./agent-counts.ts";
import { createLeaseBook } from "./lease.ts";
import { decodeMetadata, encodeMetadata } from "./metadata.ts";
import { createPeerEntry, type PeerEntry } from "./peer-entry.ts";
import { bufferMemory, createRegion, type Region, type RegionInternal } from "./region.ts";
import { explainPath } from "./routes.ts";
import type { TransferAgent, TransferAgentOptions } from "./transfer-agent.ts";
import { createTransferHandle } from "./transfer.ts";

/** Notifications that wait for a reader before their senders do. */
export const defaultInboxMessages = 4096;
/** Constant part of a transfer's deadline, ms (architecture: 5 s + bytes/rate × 4). */
export const defaultBaseDeadlineMs = 5000;
export const defaultConnectDeadlineMs = 1000;

const comeBackAttempts = 5;
/** Before the second attempt, ms; doubles. */
const comeBackDelayMs = 5;

/**
 * Opens an agent with its transports. Close it when done; `await using` does.
 *
 * @throws TransferError TRANSFER_OPTION_INVALID, TRANSFER_TRANSPORT_FAILED (a port in use, …)
 */
export async function createAgent(options: TransferAgentOptions): Promise<TransferAgent> {
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const meter = options.meter ?? noopMeter;
  const incarnation = randomBytes(16).toString("hex");
  const name = options.name ?? `agent-${incarnation.slice(0, 8)}`;
  const inboxMessages = options.inboxMessages ?? defaultInboxMessages;
  if (!Number.isInteger(inboxMessages) || inboxMessages < 1)
    throw transferError("TRANSFER_OPTION_INVALID", "inboxMessages must be an integer of at least 1.");
  const names = options.transports.map((transport) => transport.name);
  if (names.length === 0 || new Set(names).size !== names.length)
    throw transferError(
      "TRANSFER_OPTION_INVALID",
      `transports must name at least one transport and each only once: ${names.join(", ")}.`,
    );
  const secret = options.secret;
  const regions = new Map<number, RegionInternal>();
  const peers = new Map<string, PeerEntry>();
  const warned = new Set<string>();
  const leases = createLeaseBook(clock);
  const inbox = createInbox(inboxMessages, (_from, tag, payload) => {
    const id = new TextDecoder().decode(payload);
    if (tag === "renew") leases.renew(id);
    else if (tag === "release") leases.release(id);
  });
  const counts = createAgentCounts(meter);
  let nextRegion = 1;
  let isClosed = false;
  const open: OpenTransport[] = [];
  const host: TransportHost = {
    name,
    incarnation,
    secret,
    clock,
    logger,
    meter,
    region: (id) => regions.get(id),
    admit(id, key): RegionMemory {
      const region = regions.get(id);
      if (region === undefined || !region.isAlive || region.key !== key)
        throw transferError(
          "TRANSFER_REGION_GONE",
          `Agent ${name} has no region ${id} with that key (deregistered, or its lease ended).`,
          { region: id },
        );
      return region;
    },
    deliver: (from, message) => inbox.accept(from, message),
    linkLost(peer, transport, error) {
      logger.warn("lost the connection to a peer", { peer: peer.name, transport, reason: error.message });
      const entry = peers.get(peer.name);
      if (entry === undefined || entry.record.incarnation !== peer.incarnation || isClosed) return;
      const carrier = open.find((candidate) => candidate.name === transport);
      if (carrier !== undefined) void comeBack(entry, carrier);
    },
  };
  /** Coming back tells a cut from a death: who refuses, keeps hanging up, or answers as another incarnation is gone. Who is silent is not. */
  const comeBack = async (entry: PeerEntry, transport: OpenTransport): Promise<void> => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await entry.connect(transport);
        return;
      } catch (error) {
        const reason = error as TransferError;
        if (isClosed || !entry.peer.isCurrent || reason.code === "TRANSFER_DEADLINE") return;
        if (reason.code === "TRANSFER_PEER_LOST" || attempt === comeBackAttempts) {
          await loseIfUnreachable(
            entry,
            transferError(
              "TRANSFER_PEER_LOST",
              `Peer ${entry.record.name} is gone: ${reason.message}`,
              { peer: entry.record.name },
              reason,
            ),
          );
          return;
        }
        // A dying process still accepts connections for a moment.
        await sleep(clock, comeBackDelayMs * 2 ** attempt);
      }
    }
  };
  const loseIfUnreachable = async (entry: PeerEntry, reason: TransferError): Promise<void> => {
    for (const transport of open) if (entry.openLink(transport) !== undefined) return;
    await entry.lose(reason);
  };
  try {
    for (const transport of options.transports) open.push(await transport.open(host));
  } catch (error) {
    await Promise.all(open.map((transport) => transport.close()));
    throw error;
  }
  const forget = (id: number): void => {
    regions.delete(id);
    for (const transport of open) transport.forgetRegion?.(id);
  };
  const admit = (region: RegionInternal): Region => {
    regions.set(region.id, region);
    return region;
  };
  const assertOpen = (): void => {
    if (isClosed) throw transferError("TRANSFER_CLOSED", `Agent ${name} was closed.`);
  };
  const entryOf = (peer: { readonly name: string }): PeerEntry => {
    const entry = peers.get(peer.name);
    if (entry?.peer !== peer)
      throw transferError(
        "TRANSFER_PEER_LOST",
        `Peer ${peer.name} is not (any more) known to agent ${name}: import its metadata.`,
        { peer: peer.name },
      );
    return entry;
  };
  const exportRegion = (region: RegionInternal): { readonly exported: Map<string, Uint8Array> } => {
    const exported = new Map<string, Uint8Array>();
    for (const transport of open) {
      const info = transport.exportRegion(region);
      if (info instanceof Uint8Array) exported.set(transport.name, info);
    }
    return { exported };
  };
  const agent: TransferAgent = {
    name,
    incarnation,
    get peers() {
      return [...peers.values()].map((entry) => entry.peer);
    },
    transports: open.map((transport) => transport.name),
    totals: counts.totals,
    get regions() {
      return [...regions.values()];
    },
    get leases() {
      return leases.leases;
    },
    endLease: (id) => leases.release(id),
    renewLease: (id) => leases.renew(id),
    get heldLeases() {
      return leases.held;
    },
    async allocate({ bytes, blockBytes, memory: kind = "host" }) {
      assertOpen();
      if (!Number.isSafeInteger(bytes) || bytes < 1)
        throw transferError("TRANSFER_OPTION_INVALID", "allocate: bytes must be a positive integer.", {
          bytes,
        });
      checkBlockBytes(blockBytes);
      const allocator = open.find(
        (transport) => transport.allocate !== undefined && (transport.allocates ?? "host") === kind,
      );
      if (allocator === undefined && kind !== "host")
        throw transferError(
          "TRANSFER_PATH_UNAVAILABLE",
          `No transport of agent ${name} makes ${kind} memory: it has ${names.join(", ")}.`,
          { memory: kind },
        );
      const memory = await allocator?.allocate?.(
        bytes,
        blockBytes === undefined ? undefined : { blockBytes },
      );
      const id = nextRegion++;
      return admit(
        createRegion(id, bytes, memory ?? bufferMemory([new Uint8Array(bytes)], blockBytes), () =>
          forget(id),
        ),
      );
    },
    register(memory, registerOptions = {}) {
      assertOpen();
      checkBlockBytes(registerOptions.blockBytes);
      const backing = bufferMemory(
        memory instanceof Uint8Array ? [memory] : memory,
        registerOptions.blockBytes,
      );
      const id = nextRegion++;
      return admit(createRegion(id, backing.bytes, backing, () => forget(id)));
    },
    exportMetadata(exportOptions = {}) {
      assertOpen();
      const chosen =
        exportOptions.regions === undefined
          ? [...regions.values()]
          : exportOptions.regions.map((region) => regions.get(region.id));
      return encodeMetadata(
        {
          name,
          incarnation,
          connections: new Map(open.map((transport) => [transport.name, transport.connectionInfo()])),
          regions: chosen
            .filter((region) => region?.isAlive === true)
            .map((region) => region as RegionInternal)
            .map((region) => ({
              id: region.id,
              key: region.key,
              bytes: region.bytes,
              memory: region.memory,
              blockBytes: region.epochs?.blockBytes ?? 0,
              ...exportRegion(region),
            })),
        },
        secret,
      );
    },
    importMetadata(blob) {
      assertOpen();
      const metadata = decodeMetadata(blob, secret);
      const known = peers.get(metadata.name);
      if (known !== undefined && known.record.incarnation === metadata.incarnation && known.peer.isCurrent) {
        known.merge(metadata);
        return known.peer;
      }
      const entry = createPeerEntry({
        metadata,
        transports: open,
        clock,
        connectDeadlineMs: options.connectDeadlineMs ?? defaultConnectDeadlineMs,
      });
      peers.set(metadata.name, entry);
      if (known !== undefined)
        void known.lose(
          transferError("TRANSFER_PEER_LOST", `Peer ${metadata.name} was replaced by a newer incarnation.`, {
            peer: metadata.name,
          }),
        );
      return entry.peer;
    },
    peer: (peerName) => peers.get(peerName)?.peer,
    async invalidatePeer(peerName) {
      const entry = peers.get(peerName);
      peers.delete(peerName);
      await entry?.lose(
        transferError("TRANSFER_PEER_LOST", `Peer ${peerName} was invalidated.`, { peer: peerName }),
      );
    },
    createTransfer(request) {
      assertOpen();
      const entry = entryOf(request.peer);
      const isOwnRegion = (region: DescribedRegion): boolean => regions.get(region.id) === region;
      const isPeerRegion = (region: DescribedRegion): boolean =>
        entry.record.memory(region.id) !== undefined && entry.peer.region(region.id) === region;
      for (const region of request.local.regions)
        if (!isOwnRegion(region))
          throw transferError(
            "TRANSFER_WRONG_OWNER",
            `The local list points into region ${region.id}, which is not a live region of agent ${name}.`,
            { region: region.id },
          );
      for (const region of request.remote.regions)
        if (!isPeerRegion(region))
          throw transferError(
            "TRANSFER_WRONG_OWNER",
            `The remote list points into region ${region.id}, which is not one of peer ${request.peer.name}.`,
            { region: region.id },
          );
      return createTransferHandle(request, {
        clock,
        baseDeadlineMs: options.baseDeadlineMs ?? defaultBaseDeadlineMs,
        transports: open,
        entry,
        local: [...request.local.regions].map((region) => regions.get(region.id) as RegionInternal),
        localRegion: (id) => regions.get(id),
        onDone(stats) {
          counts.done(request.operation, stats);
          if (request.notify !== undefined)
            request.peer.notify(request.notify.tag, request.notify.payload).catch((error: unknown) => {
              logger.warn("a transfer's notification was not delivered", {
                peer: request.peer.name,
                reason: String(error),
              });
            });
        },
        onFailed(error) {
          counts.failed(error.code);
          if (error.code === "TRANSFER_PEER_LOST") void loseIfUnreachable(entry, error);
        },
        onFallback(transport, preferred, reason) {
          const key = `${entry.record.incarnation}\0${transport.name}\0${preferred.name}`;
          if (warned.has(key)) return;
          warned.add(key);
          logger.info("a slower way to a peer is used", {
            peer: entry.record.name,
            uses: transport.name,
            instead: preferred.name,
            reason,
          });
        },
        onFailover(transport, error) {
          counts.failedOver(transport.name);
          logger.warn("a transfer goes on over another transport", {
            peer: entry.record.name,
            failed: transport.name,
            reason: error.message,
          });
        },
      });
    },
    async transfer(request) {
      const transfer = agent.createTransfer(request);
      transfer.post();
      return await transfer.completion;
    },
    explain(peer, local, remote, bytes) {
      const entry = entryOf(peer);
      const remoteMemory = remote === undefined ? undefined : entry.record.memory(remote.id);
      return explainPath(entry, open, local, remoteMemory, bytes);
    },
    notifications: (signal) => inbox.notifications(signal),
    expect: (peer, tag, count, signal) => inbox.expect(peer, tag, count, signal),
    lease: (durationMs, onEnd) => {
      assertOpen();
      if (!(durationMs > 0))
        throw transferError("TRANSFER_OPTION_INVALID", "lease: durationMs must be above 0.", { durationMs });
      return leases.grant(durationMs, onEnd);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      const reason = transferError("TRANSFER_CLOSED", `Agent ${name} was closed.`);
      await Promise.all([...peers.values()].map((entry) => entry.lose(reason)));
      peers.clear();
      leases.close();
      inbox.close();
      await Promise.all([...regions.values()].map((region) => region.deregister()));
      await Promise.all(open.map((transport) => transport.close()));
    },
    [Symbol.asyncDispose]: () => agent.close(),
  };
  return agent;
}

function checkBlockBytes(blockBytes: number | undefined): void {
  if (blockBytes !== undefined && (!Number.isSafeInteger(blockBytes) || blockBytes < 1))
    throw transferError("TRANSFER_OPTION_INVALID", "blockBytes must be a positive integer.", { blockBytes });
}
