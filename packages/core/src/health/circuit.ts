import type { Deadlines } from "./deadlines.ts";

/** Ejection with back-off: closed, open until a time, then half open for one request. */
export interface Circuit {
  /** `open` becomes `halfOpen` by time alone. */
  state(nowMs: number): "closed" | "open" | "halfOpen";
  /** When an open circuit becomes half open. */
  readonly openUntilMs: number;
  readonly ejections: number;
  isProbeOut: boolean;
  /** Opens it; nothing happens while it is open already, so that one death counts once. */
  eject(nowMs: number): boolean;
  /** A real request succeeded, or another life began. */
  close(nowMs: number): void;
  /** From 0 to 1 over `slowStartMs` after it closed again. */
  warmth(nowMs: number): number;
}

/**
 * Ejections last `ejectionMs` times their number in a row, at most `ejectionMaxMs`, give or take 20 %.
 *
 * @param random from 0 to 1, for the jitter.
 */
export function createCircuit(deadlines: Deadlines, random: () => number): Circuit {
  let inARow = 0;
  let ejections = 0;
  let openUntilMs = 0;
  let isOpen = false;
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
    eject(nowMs) {
      if (circuit.state(nowMs) === "open") return false;
      inARow += 1;
      ejections += 1;
      isOpen = true;
      circuit.isProbeOut = false;
      const jitter = 0.8 + 0.4 * random();
      openUntilMs = nowMs + Math.min(deadlines.ejectionMs * inARow, deadlines.ejectionMaxMs) * jitter;
      return true;
    },
    close(nowMs) {
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
