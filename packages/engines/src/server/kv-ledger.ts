import type { Clock, EngineLoad, Handoff, HandoffOutcome } from "@stator/core";
import type { ServerLoad } from "./server-driver.ts";

/** KV that a server keeps for decodes which it cannot be told to free: what of it nobody will come for. */
export interface KvLedger {
  /** A prefill ended: its KV waits for a decode. */
  offered(handoff: Handoff): void;
  /** The first outcome counts. No-op for what was not offered here. */
  settled(handoff: Handoff, outcome: HandoffOutcome): void;
  /** The server's own word on its memory, asked for at `askedMs`: nothing leaks beyond what is in use. */
  observed(load: ServerLoad, askedMs: number): void;
  /** The server's process is gone, and its memory with it. */
  lost(): void;
  /** The load with what leaked. */
  withLeaks(load: ServerLoad): ServerLoad;
  /** Blocks that leaked, of all ranks. */
  readonly leakedBlocks: number;
}

export interface KvLedgerOptions {
  readonly clock: Clock;
  readonly blockTokens: number;
  /** How long the server keeps KV for a decode that does not come, in ms. */
  readonly holdMs: number;
}

interface Entry {
  readonly blocks: number;
  readonly rank: number;
  readonly untilMs: number;
  /** From then on it counts as leaked: at once when abandoned, else when nobody said what became of it for too long. */
  leakedMs: number;
}

/** Whoever offered it and told neither outcome in this time is dead. A decode has its first token, or was given up, long before. */
const untoldMs = 60_000;
/** Entries kept at once; the oldest is forgotten beyond it. */
const mostEntries = 16_384;

export function createKvLedger({ clock, blockTokens, holdMs }: KvLedgerOptions): KvLedger {
  const entries = new Map<string, Entry>();

  const leaks = (): Entry[] => {
    const nowMs = clock.now();
    for (const [key, { untilMs }] of entries) if (untilMs <= nowMs) entries.delete(key);
    return [...entries.values()].filter(({ leakedMs }) => leakedMs <= nowMs);
  };
  const blocksOf = (of: readonly Entry[]): number => of.reduce((sum, { blocks }) => sum + blocks, 0);

  return {
    offered(handoff) {
      const nowMs = clock.now();
      entries.set(keyOf(handoff), {
        blocks: Math.ceil(handoff.heldTokens / blockTokens),
        rank: handoff.source?.rank ?? 0,
        untilMs: nowMs + holdMs,
        leakedMs: nowMs + untoldMs,
      });
      if (entries.size > mostEntries) entries.delete(entries.keys().next().value!);
    },
    settled(handoff, outcome) {
      const key = keyOf(handoff);
      const entry = entries.get(key);
      if (outcome === "taken") entries.delete(key);
      else if (entry !== undefined) entry.leakedMs = Math.min(entry.leakedMs, clock.now());
    },
    observed(load, askedMs) {
      const old = leaks().filter(({ leakedMs }) => leakedMs < askedMs);
      for (const rank of new Set(old.map((entry) => entry.rank))) {
        const used = (load.ranks?.[rank] ?? load).kvBlocksUsed;
        const ofRank = old.filter((entry) => entry.rank === rank);
        // A decode that was cancelled tells its source; the oldest are the likeliest to be free.
        for (let beyond = blocksOf(ofRank) - used; beyond > 0;) {
          const oldest = ofRank.shift()!;
          beyond -= oldest.blocks;
          for (const [key, entry] of entries) if (entry === oldest) entries.delete(key);
        }
      }
    },
    lost: () => entries.clear(),
    withLeaks(load) {
      const all = leaks();
      if (all.length === 0) return load;
      const leakedIn = (one: EngineLoad, of: readonly Entry[]): EngineLoad => {
        const kvBlocksLeaked = blocksOf(of);
        return {
          ...one,
          // Offered since the server was asked: in use all the same.
          kvBlocksUsed: Math.max(one.kvBlocksUsed, kvBlocksLeaked),
          ...(kvBlocksLeaked === 0 ? {} : { kvBlocksLeaked }),
        };
      };
      const { ranks } = load;
      return {
        ...leakedIn(load, all),
        ...(ranks === undefined
          ? {}
          : {
              ranks: ranks.map((one, rank) =>
                leakedIn(
                  one,
                  all.filter((entry) => entry.rank === rank),
                ),
              ),
            }),
      };
    },
    get leakedBlocks() {
      return blocksOf(leaks());
    },
  };
}

/** Both sides of a room have its number; else what is opaque is the engine's own name for it. */
function keyOf({ room, opaque }: Handoff): string {
  return room === undefined ? Buffer.from(opaque).toString("latin1") : `room ${room}`;
}
