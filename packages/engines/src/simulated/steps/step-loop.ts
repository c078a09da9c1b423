import type { Clock, Timer } from "@stator/core";

import type { Step } from "./scheduler.ts";
import type { StepTime } from "./step-batch.ts";
import { createStepTimer } from "./step-timer.ts";

export interface StepLoopOptions {
  readonly clock: Clock;
  readonly stepTime: StepTime;
  /** The next step; undefined when there is nothing to do. */
  form(): Step | undefined;
  /** Does what a step computes, at its end. */
  run(step: Step): void;
  /** Called after each step, and every 250 ms while one takes longer. */
  report(): void;
}

/** Runs one step after the other, each for as long as the step time says. */
export interface StepLoop {
  /** Steps finished since the start. */
  readonly steps: number;
  ageMs(): number;
  readonly expectedMs: number;
  /** Starts a step if none is in flight. */
  kick(): void;
  /** Gives up the step in flight and starts no other until `resume`. */
  stop(): void;
  resume(): void;
  freeze(): void;
  thaw(): void;
  slowDown(factor: number): void;
}

const heartbeatMs = 250;

export function createStepLoop({ clock, stepTime, form, run, report }: StepLoopOptions): StepLoop {
  const timer = createStepTimer(clock);
  let steps = 0;
  let step: Step | undefined;
  let startedMs = 0;
  let expectedMs = 0;
  let cancelStep: (() => void) | undefined;
  let heartbeat: Timer | undefined;
  let isStopped = false;
  let isFrozen = false;
  // The step's time is over, but the engine is frozen.
  let isDue = false;
  let slowness = 1;

  const beat = (): void => {
    heartbeat ??= clock.schedule(heartbeatMs, () => {
      heartbeat = undefined;
      if (step === undefined) return;
      report();
      beat();
    });
  };
  const clear = (): void => {
    step = undefined;
    cancelStep = undefined;
    heartbeat?.cancel();
    heartbeat = undefined;
  };
  const kick = (): void => {
    if (step !== undefined || isStopped) return;
    step = form();
    if (step === undefined) return;
    startedMs = clock.now();
    const plainMs = stepTime(step.batch);
    expectedMs = slowness === 1 ? plainMs : Math.max(1, plainMs) * slowness;
    cancelStep = timer.after(expectedMs, finish);
    if (expectedMs > heartbeatMs || isFrozen) beat();
  };
  const finish = (): void => {
    isDue = isFrozen;
    if (isFrozen) return;
    run(step!);
    steps++;
    clear();
    if (isStopped) return;
    report();
    kick();
  };

  return {
    get steps() {
      return steps;
    },
    ageMs: () => (step === undefined ? 0 : clock.now() - startedMs),
    get expectedMs() {
      return step === undefined ? 0 : expectedMs;
    },
    kick,
    stop() {
      isStopped = true;
      isDue = false;
      cancelStep?.();
      clear();
    },
    resume() {
      isStopped = false;
      isFrozen = false;
    },
    freeze() {
      isFrozen = true;
      if (step !== undefined) beat();
    },
    thaw() {
      isFrozen = false;
      if (isDue) finish();
    },
    slowDown(factor) {
      slowness = factor;
    },
  };
}
