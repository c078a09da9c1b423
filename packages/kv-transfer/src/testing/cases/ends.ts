import assert from "node:assert/strict";
import { describe } from "../../agent/descriptors.ts";
import type { Region } from "../../agent/region.ts";
import type { Peer, RemoteRegion, TransferAgent, TransferRequest } from "../../agent/transfer-agent.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import type { PeerProcess } from "../peer/peer-process.ts";
import type { RegionAccess } from "../region-access.ts";
import type { AgentChange, CaseContext, ProcessChange } from "../transport-suite.ts";

/** A buffer here, a region of a peer, and the request that moves one onto the other. */
export interface Ends {
  readonly initiator: TransferAgent;
  readonly peer: Peer;
  readonly remote: RemoteRegion;
  readonly buffer: Uint8Array;
  /** The buffer, registered. */
  readonly here: Region;
  /** Whole onto whole. */
  ask(operation: TransferRequest["operation"]): TransferRequest;
  /** Reads all of it and holds it against the pattern. */
  readsPattern(seed: number): Promise<void>;
}

export interface PairEnds extends Ends {
  readonly target: TransferAgent;
  readonly there: RegionAccess;
  /** Another region of the target. */
  allocate(
    bytes: number,
    blockBytes?: number,
  ): Promise<{ readonly there: RegionAccess; readonly remote: RemoteRegion }>;
}

export interface ProcessEnds extends Ends {
  readonly child: PeerProcess;
  readonly metadata: Uint8Array;
}

export interface EndsOptions {
  readonly bytes: number;
  /** Seed of the pattern that the peer's region begins with. Default: none, zeros. */
  readonly fill?: number;
  readonly blockBytes?: number;
  readonly initiator?: AgentChange;
}

export interface ProcessEndsOptions extends EndsOptions {
  /** Of the peer. Default `other-process`. */
  readonly name?: string;
  readonly process?: ProcessChange;
}

export function whole(bytes: number): { readonly offset: number; readonly bytes: number }[] {
  return [{ offset: 0, bytes }];
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export const rejectsWith =
  (...codes: readonly string[]): ((error: unknown) => boolean) =>
  (error: unknown): boolean => {
    assert.ok(codes.includes((error as { code?: string }).code ?? ""), String(error));
    return true;
  };

/** The peer, or what it had, is not there: how much of that is known depends on who notices. */
export function isGone(error: unknown): boolean {
  const { kind = "" } = error as { kind?: string };
  assert.ok(kind === "unavailable" || kind === "notFound", String(error));
  return true;
}

/** Turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function endsOf(initiator: TransferAgent, peer: () => Peer, remote: RemoteRegion): Ends {
  const { bytes } = remote;
  const buffer = new Uint8Array(bytes);
  const here = initiator.register(buffer);
  const ask = (operation: TransferRequest["operation"]): TransferRequest => ({
    operation,
    peer: peer(),
    local: describe(here, whole(bytes)),
    remote: describe(remote, whole(bytes)),
  });
  return {
    initiator,
    get peer() {
      return peer();
    },
    remote,
    buffer,
    here,
    ask,
    async readsPattern(seed) {
      buffer.fill(0);
      await initiator.transfer(ask("read"));
      assert.ok(isSame(buffer, patternBytes(seed, 0, bytes)), `not the bytes of pattern ${seed}`);
    },
  };
}

/** Both ends in this process. */
export async function pairEnds(
  context: CaseContext,
  { bytes, fill, blockBytes, initiator: change }: EndsOptions,
): Promise<PairEnds> {
  const pair = await context.pair(change);
  const { there, remote } = await pair.allocate(bytes, blockBytes);
  if (fill !== undefined) await fillPattern(there, fill);
  const ends = endsOf(pair.initiator, () => pair.peer, remote);
  return Object.assign(ends, { target: pair.target, there, allocate: pair.allocate });
}

/** The peer is a process of its own. */
export async function processEnds(
  context: CaseContext,
  { bytes, fill, blockBytes, initiator: change, name = "other-process", process }: ProcessEndsOptions,
): Promise<ProcessEnds> {
  const initiator = await context.agent(change);
  const child = await context.peerProcess(name, process);
  const id = (await child.call({
    do: "allocate",
    bytes,
    memory: context.memory,
    ...(fill === undefined ? {} : { fill }),
    ...(blockBytes === undefined ? {} : { blockBytes }),
  })) as number;
  const metadata = await metadataOf(child);
  const peer = initiator.importMetadata(metadata);
  const ends = endsOf(initiator, () => peer, peer.region(id));
  return Object.assign(ends, { child, metadata });
}

export async function metadataOf(child: PeerProcess): Promise<Uint8Array> {
  return Buffer.from((await child.call({ do: "metadata" })) as string, "base64");
}

/** Somebody else who knows the peer by the same metadata. */
export async function anotherEnd(
  context: CaseContext,
  { metadata, remote }: ProcessEnds,
  change?: AgentChange,
): Promise<Ends> {
  const initiator = await context.agent(change);
  const peer = initiator.importMetadata(metadata);
  return endsOf(initiator, () => peer, peer.region(remote.id));
}
