import { systemClock, type Clock, type Timer } from "../ports/clock.ts";
import { createDeadlines, type Deadlines } from "./deadlines.ts";
import { createHealthMember, type HealthMember } from "./health-member.ts";
import type { WorkerHealth } from "./worker-health.ts";

export interface HealthGroupOptions {
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Overrides of the deadline table. */
  readonly deadlines?: Partial<Deadlines>;
  /** From 0 to 1, for the jitter of back-offs. Default `Math.random`. */
  readonly random?: () => number;
}

export interface HealthGroupMember {
  readonly worker: string;
  readonly epoch: string;
  /** Workers that stand in for one another, for the cap on outliers. Default "". */
  readonly pool?: string;
}

/**
 * The health of all workers of one process. Judging silence takes them together: a process whose own loop was late, or
 * that hears nobody, must suspect itself first.
 */
export interface HealthGroup {
  readonly deadlines: Deadlines;
  /** One object per life; the same worker and epoch give the same object. */
  worker(member: HealthGroupMember): WorkerHealth;
  /** Forgets a life that is over. */
  remove(health: WorkerHealth): void;
  /** Stops the timer. */
  close(): void;
}

/** How often silence and progress are judged, in milliseconds. */
const tickMs = 50;

export function createHealthGroup(options: HealthGroupOptions = {}): HealthGroup {
  const clock = options.clock ?? systemClock;
  const deadlines = createDeadlines(options.deadlines);
  const random = options.random ?? Math.random;
  const members = new Map<string, HealthMember>();
  let timer: Timer | undefined;
  let tickDueMs = 0;
  let lastHeardMs = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  const arm = (): void => {
    if (timer !== undefined || isClosed) return;
    tickDueMs = clock.now() + tickMs;
    timer = clock.schedule(tickMs, tick);
  };

  const tick = (): void => {
    timer = undefined;
    const nowMs = clock.now();
    if (nowMs - tickDueMs > deadlines.lateLoopMs) {
      // What was late is this process: frames of that time may lie unread in its sockets.
      for (const member of members.values()) member.restartClocks(nowMs);
    }
    judgeSilence(nowMs);
    let isNeeded = false;
    for (const member of members.values()) {
      member.judgeTime(nowMs);
      isNeeded ||= member.needsTime(nowMs);
    }
    if (isNeeded) arm();
  };

  const judgeSilence = (nowMs: number): void => {
    const listening = [...members.values()].filter((member) => member.isListening);
    const silent = listening.filter((member) => nowMs - member.heardMs > deadlines.suspectMs).length;
    const isCommon = listening.length > 1 && silent * 2 > listening.length;
    for (const member of listening) {
      const silentMs = nowMs - member.heardMs;
      if (silentMs <= deadlines.deadMs) continue;
      const anotherSpoke = lastHeardMs > member.heardMs + deadlines.suspectMs;
      if (isCommon && !anotherSpoke && silentMs <= deadlines.deadMs + deadlines.commonSilenceMs) continue;
      member.observe({ type: "silent" });
    }
  };

  const mayEjectOutlier = (pool: string): boolean => {
    const peers = [...members.values()].filter((member) => member.pool === pool);
    const out = peers.filter((peer) => peer.state !== "ready").length;
    return (out + 1) * 2 <= peers.length;
  };

  return {
    deadlines,
    worker({ worker, epoch, pool = "" }) {
      const key = keyOf(worker, epoch);
      const known = members.get(key);
      if (known !== undefined) return known;
      const member = createHealthMember({
        worker,
        epoch,
        pool,
        clock,
        deadlines,
        random,
        arm,
        onHeard: (nowMs) => (lastHeardMs = nowMs),
        mayEjectOutlier: () => mayEjectOutlier(pool),
      });
      members.set(key, member);
      return member;
    },
    remove(health) {
      members.delete(keyOf(health.worker, health.epoch));
    },
    close() {
      isClosed = true;
      timer?.cancel();
      timer = undefined;
    },
  };
}

function keyOf(worker: string, epoch: string): string {
  return `${worker}\u0000${epoch}`;
}

export interface WorkerHealthOptions extends HealthGroupOptions {
  /** Default "worker". */
  readonly worker?: string;
  /** Default "0". */
  readonly epoch?: string;
}

/** The health of a single worker, for those who watch only one. */
export function createWorkerHealth(options: WorkerHealthOptions = {}): WorkerHealth {
  return createHealthGroup(options).worker({
    worker: options.worker ?? "worker",
    epoch: options.epoch ?? "0",
  });
}
