import { xxh3, type Clock, type GenerateRequest, type WorkerEpoch } from "@stator/core";

export interface QuarantineOptions {
  readonly clock: Clock;
  /** How long a fingerprint stays blocked, in ms. */
  readonly quarantineMs: number;
  /** Deaths of other workers within this time make a burst, for which no request is blamed. Default 1,000 ms. */
  readonly burstMs?: number;
}

/** A request as a suspect: who it was with when workers died. */
export interface Suspect {
  /** Workers that died with it. */
  readonly deaths: number;
  /** Of these, those where it was the only one that had seen a death before. */
  readonly blames: number;
  /**
   * `avoid` and the lives on which another suspect runs, so that the next death names one. The array is live: it follows
   * the suspects while the request waits for a place.
   */
  avoiding(avoid: readonly WorkerEpoch[]): readonly WorkerEpoch[];
  /** It runs there now, there too if prefill and decode are apart. */
  placed(life: WorkerEpoch): void;
  /** The new attempt spoke: whatever killed the last worker did not kill this one. */
  cleared(): void;
  /**
   * A worker that it ran on died, after `tokens` of its output. Returns whether the request is now quarantined. Call
   * `cleared` before the next attempt.
   */
  died(life: WorkerEpoch, tokens?: number): boolean;
  /** The request is over. */
  gone(): void;
}

/** Finds requests that kill workers, and keeps them out. */
export interface Quarantine {
  /** The time until which this request's fingerprint is blocked, if it is. */
  blockedForMs(request: GenerateRequest): number | undefined;
  suspect(request: GenerateRequest): Suspect;
  /** Whether a request that is blocked since died there: that death tells nothing of the others that died with it. */
  hasPoisoned(life: WorkerEpoch): boolean;
  readonly blocked: number;
}

interface View {
  readonly avoid: readonly WorkerEpoch[];
  readonly at: ReadonlySet<string>;
  readonly lives: WorkerEpoch[];
}

/** A request dies with at most this many workers before its fingerprint is blocked. */
export const deathsToQuarantine: number = 3;
const mostBlocked = 10_000;
const mostPoisoned = 1_000;

export function createQuarantine({ clock, quarantineMs, burstMs = 1_000 }: QuarantineOptions): Quarantine {
  const blocked = new Map<bigint, number>();
  const suspectsAt = new Map<string, Set<object>>();
  const livesAt = new Map<string, WorkerEpoch>();
  const views = new Set<View>();
  /** Lives that ended with a request that is blocked since, the latest last. */
  const poisoned = new Set<string>();
  /** Deaths of the last moments: life and time. */
  let recent: { readonly key: string; readonly atMs: number }[] = [];

  const refresh = (): void => {
    for (const { avoid, at, lives } of views) {
      lives.length = 0;
      lives.push(...avoid);
      for (const [key, life] of livesAt) if (!at.has(key)) lives.push(life);
    }
  };

  const block = (fingerprint: bigint): void => {
    if (blocked.size >= mostBlocked) blocked.delete(blocked.keys().next().value!);
    blocked.set(fingerprint, clock.now() + quarantineMs);
  };

  return {
    get blocked() {
      return blocked.size;
    },
    blockedForMs(request) {
      if (blocked.size === 0) return undefined;
      const fingerprint = fingerprintOf(request);
      const untilMs = blocked.get(fingerprint);
      if (untilMs === undefined) return undefined;
      const leftMs = untilMs - clock.now();
      if (leftMs > 0) return leftMs;
      blocked.delete(fingerprint);
      return undefined;
    },
    hasPoisoned: (life) => poisoned.has(keyOf(life)),
    suspect(request) {
      const self = {};
      const diedWith = new Set<string>();
      const at = new Set<string>();
      let deaths = 0;
      let blames = 0;
      let diedAtToken = 0;
      let view: View | undefined;

      const leave = (): void => {
        if (view !== undefined) views.delete(view);
        view = undefined;
        for (const key of at) {
          const there = suspectsAt.get(key);
          there?.delete(self);
          if (there?.size !== 0) continue;
          suspectsAt.delete(key);
          livesAt.delete(key);
        }
        at.clear();
        refresh();
      };

      return {
        get deaths() {
          return deaths;
        },
        get blames() {
          return blames;
        },
        // After one death all of its requests are suspects and spread freely; after two, those that saw both are kept apart.
        avoiding(avoid) {
          if (deaths < 2) return avoid;
          view = { avoid, at, lives: [] };
          views.add(view);
          refresh();
          return view.lives;
        },
        placed(life) {
          if (deaths === 0) return;
          const key = keyOf(life);
          at.add(key);
          livesAt.set(key, life);
          const there = suspectsAt.get(key) ?? new Set();
          there.add(self);
          suspectsAt.set(key, there);
          refresh();
        },
        cleared: leave,
        died(life, tokens = 0) {
          const key = keyOf(life);
          const nowMs = clock.now();
          const wasSole = at.has(key) && suspectsAt.get(key)?.size === 1;
          recent = recent.filter((death) => nowMs - death.atMs <= burstMs);
          if (!recent.some((death) => death.key === key)) recent.push({ key, atMs: nowMs });
          diedWith.add(key);
          // Workers that die together without this request die for another reason.
          if (recent.some((death) => !diedWith.has(death.key))) return false;
          // A poison strikes again where it struck before: who came further was not what killed the earlier worker.
          if (tokens > diedAtToken) deaths = blames = 0;
          diedAtToken = tokens;
          deaths += 1;
          if (wasSole) blames += 1;
          if (blames < 2 && !(deaths >= deathsToQuarantine && wasSole)) return false;
          block(fingerprintOf(request));
          for (const one of diedWith) {
            if (poisoned.size >= mostPoisoned) poisoned.delete(poisoned.values().next().value!);
            poisoned.add(one);
          }
          return true;
        },
        gone: leave,
      };
    },
  };
}

function keyOf({ worker, epoch }: WorkerEpoch): string {
  return `${worker}\u0000${epoch}`;
}

/** Names what the engine would compute, not who asked: prompt, adapter, grammar. */
function fingerprintOf(request: GenerateRequest): bigint {
  const { promptIds } = request;
  const prompt = xxh3(new Uint8Array(promptIds.buffer, promptIds.byteOffset, promptIds.byteLength), 0n);
  const rest = new TextEncoder().encode(`${request.adapter ?? ""}\u0000${request.grammar?.source ?? ""}`);
  return xxh3(rest, prompt);
}
