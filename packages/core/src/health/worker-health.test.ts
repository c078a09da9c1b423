import { describe, expect, it } from "vitest";
import { createVirtualClock } from "../ports/virtual-clock.ts";
import { StatorError } from "../errors/stator-error.ts";
import { classifyFailure } from "./classify-failure.ts";
import { createDeadlines, defaultDeadlines, longestDeadlineMs } from "./deadlines.ts";
import { createHealthGroup, createWorkerHealth } from "./health-group.ts";
import { observationRules, type OutcomeType } from "./observation.ts";
import type { Observation, WorkerCondition, WorkerHealth } from "./worker-health.ts";

const half = (): number => 0.5;

function one(): {
  clock: ReturnType<typeof createVirtualClock>;
  health: ReturnType<typeof createWorkerHealth>;
} {
  const clock = createVirtualClock();
  return { clock, health: createWorkerHealth({ clock, random: half }) };
}

describe("the table of observations, line by line", () => {
  const lines: [string, Observation, { class: string; migrate: string }, WorkerCondition][] = [
    [
      "a final frame is done and counts for the worker",
      { type: "done" },
      { class: "done", migrate: "no" },
      "ready",
    ],
    [
      "a stream cut without our signal is a crash: migrate, eject",
      { type: "cut" },
      { class: "crashed", migrate: "yes" },
      "ejected",
    ],
    [
      "a stream cut by our signal is a cancel",
      { type: "cancelled" },
      { class: "cancelled", migrate: "no" },
      "ready",
    ],
    [
      "GOAWAY drains: new work elsewhere",
      { type: "draining" },
      { class: "draining", migrate: "free" },
      "draining",
    ],
    [
      "refused before dispatch is a free retry and counts",
      { type: "neverStarted" },
      { class: "neverStarted", migrate: "free" },
      "ejected",
    ],
    [
      "an identity failure counts and alerts",
      { type: "identityFailed" },
      { class: "neverStarted", migrate: "free" },
      "ejected",
    ],
    ["missed pings are death", { type: "silent" }, { class: "dead", migrate: "yes" }, "silent"],
    ["a flat step counter is a stuck engine", { type: "stuck" }, { class: "stuck", migrate: "yes" }, "stuck"],
    [
      "a worker at capacity gets a busy lease, no blame",
      { type: "busy" },
      { class: "backpressure", migrate: "oncePerWorker" },
      "busy",
    ],
    [
      "a pool at capacity is overload, no blame",
      { type: "poolBusy" },
      { class: "overload", migrate: "no" },
      "ready",
    ],
    [
      "a client error never counts",
      { type: "clientError" },
      { class: "clientError", migrate: "no" },
      "ready",
    ],
    [
      "an engine's fatal report makes it unfit",
      { type: "unfit", reason: "device lost" },
      { class: "unfit", migrate: "yes" },
      "unfit",
    ],
    [
      "a contract mismatch excludes and alerts",
      { type: "contractMismatch" },
      { class: "contractMismatch", migrate: "compatible" },
      "incompatible",
    ],
    [
      "our own deadline is a timeout, no blame",
      { type: "deadline" },
      { class: "timeout", migrate: "no" },
      "ready",
    ],
    [
      "a bad index is dropped at first",
      { type: "protocolFault" },
      { class: "protocolFault", migrate: "thirdTime" },
      "ready",
    ],
    [
      "a session that ended because we were silent is our own fault: go on, anywhere, no blame",
      { type: "callerSilent" },
      { class: "ownFault", migrate: "anywhere" },
      "ready",
    ],
  ];
  it.each(lines)("%s", (_name, observation, meaning, condition) => {
    const { health } = one();
    expect(health.observe(observation)).toMatchObject(meaning);
    expect(health.condition).toBe(condition);
  });

  it("has one test for each of its lines", () => {
    expect(new Set(lines.map(([, observation]) => observation.type))).toEqual(
      new Set(Object.keys(observationRules)),
    );
  });

  it("ejects at the third bad index", () => {
    const { health } = one();
    for (let i = 0; i < 3; i++) health.observe({ type: "protocolFault" });
    expect(health.state).toBe("ejected");
  });

  it("alerts for identity and contract only", () => {
    const alerting = Object.entries(observationRules).filter(([, rule]) => rule.isAlert === true);
    expect(alerting.map(([type]) => type).sort()).toEqual(["contractMismatch", "identityFailed"]);
  });
});

describe("what an error means", () => {
  const live = new AbortController().signal;
  const kinds: [StatorError["kind"], OutcomeType][] = [
    ["cancelled", "cut"],
    ["unavailable", "cut"],
    ["internal", "cut"],
    ["overloaded", "busy"],
    ["invalid", "clientError"],
    ["notFound", "clientError"],
    ["unauthorized", "identityFailed"],
    ["deadline", "deadline"],
    ["incompatible", "contractMismatch"],
  ];
  it.each(kinds)("kind %s is %s", (kind, outcome) => {
    expect(classifyFailure(new StatorError({ code: "X", kind, message: "x" }), live)).toBe(outcome);
  });
  it("is cancelled if and only if our own signal fired", () => {
    expect(classifyFailure(new Error("Canceled"), live)).toBe("cut");
    expect(classifyFailure(undefined, live)).toBe("cut");
    expect(classifyFailure(new Error("socket hang up"), AbortSignal.abort())).toBe("cancelled");
  });
  it("takes the observation that the error names", () => {
    const error = new StatorError({
      code: "X",
      kind: "unavailable",
      message: "x",
      data: { observation: "draining" },
    });
    expect(classifyFailure(error, live)).toBe("draining");
  });
});

describe("silence", () => {
  it("is suspected after 0.5 s and dead after 1 s, within one look", () => {
    const { clock, health } = one();
    const seen: string[] = [];
    health.onChange((_state, condition) => seen.push(`${condition}@${clock.now()}`));
    health.observe({ type: "connected" });
    clock.advance(1_200);
    expect(seen).toEqual(["suspect@550", "silent@1050"]);
    expect(health.isSelectable).toBe(false);
  });

  it("means nothing without a session, nor after we closed it", () => {
    const { clock, health } = one();
    clock.advance(10_000);
    expect(health.state).toBe("ready");
    health.observe({ type: "connected" });
    health.observe({ type: "disconnected" });
    clock.advance(10_000);
    expect(health.state).toBe("ready");
  });

  it("a session that comes back takes no work until it did", () => {
    const { health } = one();
    health.observe({ type: "connected" });
    health.observe({ type: "callerSilent" });
    health.observe({ type: "disconnected", isComingBack: true });
    expect(health.condition).toBe("suspect");
    health.observe({ type: "connected" });
    expect([health.condition, health.counts.ejections]).toEqual(["ready", 0]);
  });

  it("a lost registration changes nothing while the session speaks", () => {
    const { clock, health } = one();
    health.observe({ type: "connected" });
    health.observe({ type: "left" });
    expect(health.isSelectable).toBe(true);
    health.observe({ type: "disconnected" });
    expect(health.condition).toBe("gone");
    health.observe({ type: "registered" });
    expect(health.isSelectable).toBe(true);
    expect(clock.now()).toBe(0);
  });

  it("of a minority is death; of more than half together waits until another speaks", () => {
    const clock = createVirtualClock();
    const group = createHealthGroup({ clock, random: half });
    const workers = [0, 1, 2, 3].map((i) => group.worker({ worker: `w${i}`, epoch: "a" }));
    for (const worker of workers) worker.observe({ type: "connected" });
    const passWith = (ms: number, speaking: number[]): void => {
      for (let t = 0; t < ms; t += 250) {
        for (const i of speaking) workers[i]!.observe({ type: "frame" });
        clock.advance(250);
      }
    };
    passWith(1_500, [1, 2, 3]);
    expect(workers.map((w) => w.state)).toEqual(["dead", "ready", "ready", "ready"]);
    for (const i of [1, 2, 3]) workers[i]!.observe({ type: "frame" });
    passWith(2_000, []);
    expect(workers.map((w) => w.state)).toEqual(["dead", "suspect", "suspect", "suspect"]);
    workers[3]!.observe({ type: "frame" });
    clock.advance(100);
    expect(workers.map((w) => w.state)).toEqual(["dead", "dead", "dead", "ready"]);
  });

  it("common to all ends after a bound, so that no request waits for ever", () => {
    const clock = createVirtualClock();
    const group = createHealthGroup({ clock });
    const workers = ["a", "b"].map((worker) => group.worker({ worker, epoch: "1" }));
    for (const worker of workers) worker.observe({ type: "connected" });
    clock.advance(defaultDeadlines.deadMs + defaultDeadlines.commonSilenceMs - 100);
    expect(workers.map((w) => w.state)).toEqual(["suspect", "suspect"]);
    clock.advance(300);
    expect(workers.map((w) => w.state)).toEqual(["dead", "dead"]);
  });

  it("a router loop blocked for 3 s causes 0 ejections", () => {
    let lateMs = 0;
    const inner = createVirtualClock();
    const group = createHealthGroup({
      clock: { now: () => inner.now() + lateMs, schedule: (delayMs, fn) => inner.schedule(delayMs, fn) },
    });
    const workers = ["a", "b", "c"].map((worker) => group.worker({ worker, epoch: "1" }));
    for (const worker of workers) {
      worker.observe({ type: "connected" });
      worker.observe({ type: "frame", step: 1, running: 1 });
    }
    lateMs = 3_000;
    inner.advance(100);
    expect(workers.map((w) => [w.state, w.counts.ejections])).toEqual([
      ["ready", 0],
      ["ready", 0],
      ["ready", 0],
    ]);
    inner.advance(1_100 + defaultDeadlines.commonSilenceMs);
    expect(workers.map((w) => w.state)).toEqual(["dead", "dead", "dead"]);
  });
});

describe("progress", () => {
  const beat = (
    clock: ReturnType<typeof createVirtualClock>,
    health: ReturnType<typeof createWorkerHealth>,
    ms: number,
    frame: { step: number; running: number; stepExpectedMs?: number },
  ): void => {
    for (let t = 0; t < ms; t += 250) {
      health.observe({ type: "frame", ...frame });
      clock.advance(250);
    }
  };

  it("frames with work but a flat step count for 2 s are stuck; a new step is life", () => {
    const { clock, health } = one();
    health.observe({ type: "connected" });
    beat(clock, health, 1_900, { step: 7, running: 1 });
    expect(health.state).toBe("ready");
    beat(clock, health, 500, { step: 7, running: 1 });
    expect(health.condition).toBe("stuck");
    health.observe({ type: "frame", step: 8, running: 1 });
    expect(health.condition).toBe("ejected");
  });

  it("an engine that was stuck is found as soon the second time", () => {
    const { clock, health } = one();
    health.observe({ type: "connected" });
    for (let round = 0; round < 3; round++) {
      for (let step = 0; step < 8; step++) beat(clock, health, 250, { step: round * 8 + step, running: 1 });
      beat(clock, health, 2_500, { step: round * 8 + 7, running: 1 });
      expect(health.condition, `round ${round}`).toBe("stuck");
    }
  });

  it("idleness is not stuck", () => {
    const { clock, health } = one();
    health.observe({ type: "connected" });
    beat(clock, health, 60_000, { step: 7, running: 0 });
    expect(health.state).toBe("ready");
  });

  it("a 20 s prefill step that was announced is not stuck", () => {
    const { clock, health } = one();
    health.observe({ type: "connected" });
    beat(clock, health, 20_000, { step: 7, running: 1, stepExpectedMs: 20_000 });
    expect(health.state).toBe("ready");
    beat(clock, health, 61_000, { step: 7, running: 1, stepExpectedMs: 20_000 });
    expect(health.condition).toBe("stuck");
  });

  it("an engine that is slow by nature gets eight times its p99", () => {
    const { clock, health } = one();
    health.observe({ type: "connected" });
    for (let step = 0; step < 20; step++) beat(clock, health, 1_000, { step, running: 1 });
    beat(clock, health, 7_000, { step: 19, running: 1 });
    expect(health.state).toBe("ready");
    beat(clock, health, 1_500, { step: 19, running: 1 });
    expect(health.condition).toBe("stuck");
  });
});

describe("ejection", () => {
  it("backs off 5 s, 10 s, 15 s, at most 60 s, and lets one probe through", () => {
    const { clock, health } = one();
    for (const seconds of [5, 10, 15]) {
      health.observe({ type: "cut" });
      clock.advance(seconds * 1_000 - 100);
      expect(health.isSelectable).toBe(false);
      clock.advance(200);
      const probe = health.admit();
      expect(probe?.isProbe).toBe(true);
      expect(health.admit()).toBeUndefined();
    }
    health.observe({ type: "done" });
    expect(health.condition).toBe("ready");
    expect(health.warmth).toBeCloseTo(0.1);
    clock.advance(10_000);
    expect(health.warmth).toBe(1);
    health.observe({ type: "cut" });
    clock.advance(5_100);
    expect(health.isSelectable).toBe(true);
  });

  it("counts one death once, whoever tells it", () => {
    const { health } = one();
    for (let i = 0; i < 64; i++) health.observe({ type: "cut" });
    expect(health.counts.ejections).toBe(1);
  });

  it("gives the probe back when it was withdrawn or cancelled", () => {
    const { clock, health } = one();
    health.observe({ type: "cut" });
    clock.advance(6_000);
    health.withdraw(health.admit()!);
    expect(health.admit()).toBeDefined();
    health.observe({ type: "cancelled" });
    expect(health.admit()).toBeDefined();
  });

  it("its probe's first token lets the next one try; the last of them to end well opens it for all", () => {
    const { clock, health } = one();
    health.observe({ type: "cut" });
    clock.advance(5_100);
    expect(health.admit()).toEqual({ isProbe: true });
    expect(health.admit()).toBeUndefined();
    health.observe({ type: "spoke" });
    expect(health.condition).toBe("probing");
    expect(health.admit()).toEqual({ isProbe: true });
    expect(health.admit()).toBeUndefined();
    health.observe({ type: "done" });
    expect(health.condition).toBe("ready");
  });

  it("for its pace is judged by a probe's whole run, not by its first token", () => {
    const clock = createVirtualClock();
    const group = createHealthGroup({ clock, random: half });
    const health = group.worker({ worker: "slow", epoch: "1", pool: "p" });
    group.worker({ worker: "other", epoch: "1", pool: "p" });
    health.observe({ type: "outlier" });
    clock.advance(5_100);
    expect(health.admit()).toEqual({ isProbe: true });
    health.observe({ type: "spoke" });
    expect(health.admit()).toBeUndefined();
    group.close();
  });

  it("for being out of reach ends with an open session; one for a broken stream does not", () => {
    const { health } = one();
    health.observe({ type: "neverStarted" });
    expect(health.condition).toBe("ejected");
    health.observe({ type: "connected" });
    expect(health.condition).toBe("ready");
    health.observe({ type: "cut" });
    health.observe({ type: "disconnected", isComingBack: true });
    // That it is out of reach meanwhile is no other fault.
    health.observe({ type: "neverStarted" });
    health.observe({ type: "connected" });
    expect(health.condition).toBe("ejected");
  });

  it("of outliers stops at half of the pool; of dead ones it does not", () => {
    const clock = createVirtualClock();
    const group = createHealthGroup({ clock });
    const workers = [0, 1, 2, 3].map((i) => group.worker({ worker: `w${i}`, epoch: "1", pool: "decode" }));
    group.worker({ worker: "p", epoch: "1", pool: "prefill" });
    for (const worker of workers) worker.observe({ type: "outlier" });
    expect(workers.filter((w) => w.state === "ejected")).toHaveLength(2);
    for (const worker of workers) worker.observe({ type: "silent" });
    expect(workers.filter((w) => w.state === "dead")).toHaveLength(4);
  });

  it("a slow worker stays out longer each time, though its probes succeed; once it kept up, it begins anew", () => {
    const clock = createVirtualClock();
    const group = createHealthGroup({ clock, random: half });
    const [health] = ["w", "x", "y"].map((worker) => group.worker({ worker, epoch: "1" })) as [WorkerHealth];
    const outMs: number[] = [];
    const beSlow = (): void => {
      const fromMs = clock.now();
      health.observe({ type: "outlier" });
      while (health.condition === "ejected") clock.advance(100);
      outMs.push(clock.now() - fromMs);
      health.admit();
      health.observe({ type: "done" });
      expect(health.isSelectable).toBe(true);
    };
    for (let i = 0; i < 3; i++) beSlow();
    expect(outMs).toEqual([5_000, 10_000, 15_000]);
    clock.advance(31_000);
    beSlow();
    expect(outMs.at(-1)).toBe(5_000);
  });

  it("what a slow worker still ran when it was ejected does not bring it back", () => {
    const clock = createVirtualClock();
    const group = createHealthGroup({ clock, random: half });
    const [health] = ["w", "x", "y"].map((worker) => group.worker({ worker, epoch: "1" })) as [WorkerHealth];
    health.observe({ type: "outlier" });
    clock.advance(1_000);
    health.observe({ type: "done" });
    expect(health.condition).toBe("ejected");
    clock.advance(4_100);
    health.admit();
    health.observe({ type: "done" });
    expect(health.condition).toBe("ready");
  });

  it("a busy lease ends by itself", () => {
    const { clock, health } = one();
    health.observe({ type: "busy" });
    expect(health.isSelectable).toBe(false);
    clock.advance(1_001);
    expect(health.isSelectable).toBe(true);
    expect(health.counts.ejections).toBe(0);
  });
});

describe("deadlines", () => {
  it("are all finite", () => {
    for (const [name, value] of Object.entries(createDeadlines())) {
      expect(value, name).toBeGreaterThan(0);
      expect(value, name).toBeLessThanOrEqual(longestDeadlineMs);
    }
  });
  it.each([Infinity, Number.NaN, 0, -1])("refuse %s", (value) => {
    expect(() => createDeadlines({ connectMs: value })).toThrow(/connectMs/);
  });
  it("are those of the specification", () => {
    expect(defaultDeadlines).toMatchObject({
      connectMs: 1_000,
      tlsMs: 3_000,
      dispatchAckMs: 500,
      heartbeatMs: 250,
      deadMs: 1_000,
      stuckMs: 2_000,
      registrationTtlMs: 5_000,
      redisCommandMs: 500,
      redisSocketMs: 1_500,
      natsStaleMs: 1_500,
      kvTransferBaseMs: 5_000,
      pinnedBlocksMs: 10_000,
      clientBlockedMs: 60_000,
      drainMs: 30_000,
      requestMs: 600_000,
      busyLeaseMs: 1_000,
      ejectionMs: 5_000,
      ejectionMaxMs: 60_000,
      quarantineMs: 600_000,
    });
  });
});
