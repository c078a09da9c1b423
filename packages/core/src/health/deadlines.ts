import { CoreError } from "../errors/core-error.ts";

/**
 * How long every wait on another process, device or client may take, in milliseconds. One table for the whole system:
 * a wait names its entry here or ends by its caller's signal.
 *
 * Source of the defaults: measured detection and client-library figures of the reliability specification, section 2c.
 */
export interface Deadlines {
  /** Opening a connection. */
  readonly connectMs: number;
  /** TLS handshake. */
  readonly tlsMs: number;
  /** From `Start` to `Accepted` or `Rejected`. */
  readonly dispatchAckMs: number;
  /** A frame (or heartbeat, upward) at least this often. */
  readonly heartbeatMs: number;
  /** Silence after which a worker gets no new work. */
  readonly suspectMs: number;
  /** Silence after which a worker is dead and its requests move. */
  readonly deadMs: number;
  /** Caller silence after which a worker aborts that caller's requests. */
  readonly callerSilentMs: number;
  /**
   * Silence of a whole connection after which its peer is asked by a ping, and after as much again given up: a host that
   * vanished closes nothing.
   */
  readonly silentConnectionMs: number;
  /** More than half of the sessions silent together: how long none is given up before another speaks. */
  readonly commonSilenceMs: number;
  /** Our own loop late by more than this restarts all silence clocks. */
  readonly lateLoopMs: number;
  /** No progress for this long, while there is work, is stuck (at least; see `stuckAfterMs`). */
  readonly stuckMs: number;
  /** From the end of prefill to decode's first token, beyond the KV transfer. */
  readonly firstTokenMs: number;
  /** Registration renewal. */
  readonly registrationHeartbeatMs: number;
  /** Registration lease. While the worker's session speaks, losing it changes nothing. */
  readonly registrationTtlMs: number;
  readonly redisCommandMs: number;
  readonly redisSocketMs: number;
  readonly natsStaleMs: number;
  /** The fixed part of a KV transfer's deadline (see `kvTransferMs`). */
  readonly kvTransferBaseMs: number;
  /** Blocks pinned at the source of a handoff, without a renewal. */
  readonly pinnedBlocksMs: number;
  /** Waiting for a worker before the answer is `overloaded`: four times a TTFT objective of 2 s. */
  readonly queueWaitMs: number;
  /** A stream blocked by its client. */
  readonly clientBlockedMs: number;
  /** From SIGTERM to exit. */
  readonly drainMs: number;
  /** A whole request. */
  readonly requestMs: number;
  /** No new work to a worker that said it was at capacity. */
  readonly busyLeaseMs: number;
  /** First ejection; the n-th in a row takes n times as long. */
  readonly ejectionMs: number;
  /** Longest ejection. */
  readonly ejectionMaxMs: number;
  /** Rising share of new work after a return. */
  readonly slowStartMs: number;
  /** A poison request's fingerprint stays blocked. */
  readonly quarantineMs: number;
  /** Longest wait between two attempts is drawn from 0 to this times 2 to the number of attempts. */
  readonly retryBackoffMs: number;
}

/** The defaults of every deadline. */
export const defaultDeadlines: Deadlines = {
  connectMs: 1_000,
  tlsMs: 3_000,
  dispatchAckMs: 500,
  heartbeatMs: 250,
  suspectMs: 500,
  deadMs: 1_000,
  callerSilentMs: 1_000,
  silentConnectionMs: 30_000,
  commonSilenceMs: 5_000,
  lateLoopMs: 200,
  stuckMs: 2_000,
  firstTokenMs: 30_000,
  registrationHeartbeatMs: 1_000,
  registrationTtlMs: 5_000,
  redisCommandMs: 500,
  redisSocketMs: 1_500,
  natsStaleMs: 1_500,
  kvTransferBaseMs: 5_000,
  pinnedBlocksMs: 10_000,
  queueWaitMs: 8_000,
  clientBlockedMs: 60_000,
  drainMs: 30_000,
  requestMs: 600_000,
  busyLeaseMs: 1_000,
  ejectionMs: 5_000,
  ejectionMaxMs: 60_000,
  slowStartMs: 10_000,
  quarantineMs: 600_000,
  retryBackoffMs: 25,
};

/** No deadline may be longer than a day: beyond that it is no deadline. */
export const longestDeadlineMs: number = 86_400_000;

/**
 * The defaults with some entries replaced.
 *
 * @throws CoreError `CORE_OPTION_INVALID` for an entry that is not a finite number above 0 and at most a day.
 */
export function createDeadlines(overrides: Partial<Deadlines> = {}): Deadlines {
  const deadlines = { ...defaultDeadlines, ...overrides };
  for (const [name, value] of Object.entries(deadlines)) {
    if (!(name in defaultDeadlines)) {
      throw new CoreError({
        code: "CORE_OPTION_INVALID",
        kind: "invalid",
        message: `There is no deadline named ${name}.`,
      });
    }
    if (typeof value !== "number" || !(value > 0 && value <= longestDeadlineMs)) {
      throw new CoreError({
        code: "CORE_OPTION_INVALID",
        kind: "invalid",
        message: `Deadline ${name} is ${String(value)}; give milliseconds above 0 and at most ${longestDeadlineMs}.`,
      });
    }
  }
  if (deadlines.suspectMs > deadlines.deadMs) {
    throw new CoreError({
      code: "CORE_OPTION_INVALID",
      kind: "invalid",
      message: `Deadline suspectMs (${deadlines.suspectMs}) must not be longer than deadMs (${deadlines.deadMs}).`,
    });
  }
  return deadlines;
}

/** Deadline of moving `bytes` at an expected `bytesPerSecond`: the base plus four times the expected time. */
export function kvTransferMs(deadlines: Deadlines, bytes: number, bytesPerSecond: number): number {
  return deadlines.kvTransferBaseMs + (bytesPerSecond > 0 ? (4_000 * bytes) / bytesPerSecond : 0);
}

/**
 * No progress for this long means stuck: the longest of `stuckMs`, 8 times the 99th percentile of the time between
 * tokens, and 4 times what the step in flight is expected to take. A long prefill is not a failure.
 */
export function stuckAfterMs(deadlines: Deadlines, p99ItlMs: number, stepExpectedMs: number): number {
  return Math.max(deadlines.stuckMs, 8 * p99ItlMs, 4 * stepExpectedMs);
}
