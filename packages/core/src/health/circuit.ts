import type { Deadlines } from "./deadlines.ts";

/** Ejection with back-off: closed, open until a time, then half open for one request. */
export interface Circuit {
  /** `open` becomes `halfOpen` by time alone. */
  state(nowMs: number): "closed" | "open" | "halfOpen";
  /** When an open circuit becomes half open. */
  readonly openUntilMs: number;
  readonly ejections: number;
  isProbeOut: boolean;
  /** Its probe got a first token: the next may try beside it. One that was slow is judged by its probe's whole pace. */
  spoke(): void;
  /** Opens it; nothing happens while it is open already, so that one death counts once. */
  eject(nowMs: number, why?: "failed" | "slow"): boolean;
  /** A real request succeeded, or another life began. */
  close(nowMs: number): void;
  /** From 0 to 1 over `slowStartMs` after it closed again. */
  warmth(nowMs: number): number;
}

/** A worker that was not ejected as slow for this long after its return has proved its pace, in milliseconds. */
const provenPaceMs = 30_000;

/**
 * A slow worker ends its requests well too, so that a success says nothing of its pace: what ran there when it was ejected
 * does not bring it back, and those ejections stay in a row until it kept up for `provenPaceMs`.
 *
 * Ejections last `ejectionMs` times their number in a row, at most `ejectionMaxMs`, give or take 20 %.
 *
 * @param random from 0 to 1, for the jitter.
 */
export function createCircuit(deadlines: Deadlines, random: () => number): Circuit {
  let inARow = 0;
  let slowInARow = 0;
  let ejections = 0;
  let openUntilMs = 0;
  let isOpen = false;
  let isSlow = false;
  let closedAtMs = Number.NEGATIVE_INFINITY;

  const circuit: Circuit = {
    isProbeOut: false,
    get openUntilMs() {
      return openUntilMs;
    },
    get ejections() {
      return ejections;
    },
    state(nowMs) {
      if (!isOpen) return "closed";
      return nowMs < openUntilMs ? "open" : "halfOpen";
    },
    spoke() {
      if (!isSlow) circuit.isProbeOut = false;
    },
    eject(nowMs, why = "failed") {
      if (circuit.state(nowMs) === "open") return false;
      if (nowMs - closedAtMs > provenPaceMs) slowInARow = 0;
      isSlow = why === "slow";
      if (isSlow) slowInARow += 1;
      inARow += 1;
      ejections += 1;
      isOpen = true;
      circuit.isProbeOut = false;
      const jitter = 0.8 + 0.4 * random();
      openUntilMs =
        nowMs +
        Math.min(deadlines.ejectionMs * Math.max(inARow, slowInARow), deadlines.ejectionMaxMs) * jitter;
      return true;
    },
    close(nowMs) {
      // What still ran there ends well, late: no proof of pace.
      if (isSlow && circuit.state(nowMs) === "open") return;
      circuit.isProbeOut = false;
      inARow = 0;
      if (!isOpen) return;
      isOpen = false;
      closedAtMs = nowMs;
    },
    warmth(nowMs) {
      if (isOpen) return 0;
      return Math.min(1, Math.max(0.1, (nowMs - closedAtMs) / deadlines.slowStartMs));
    },
  };
  return circuit;
}
