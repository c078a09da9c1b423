import {
  createHealthGroup,
  createVirtualClock,
  type EngineStatus,
  type Meter,
  noopMeter,
} from "@stator/core";
import { expect, test } from "vitest";
import { createWorkerMetrics } from "./worker-metrics.ts";

function setUp() {
  const clock = createVirtualClock();
  const seconds: [condition: string, seconds: number][] = [];
  let failures = 0;
  const meter: Meter = {
    ...noopMeter,
    histogram: () => ({
      labels: (labels) => ({
        observe: (value) => void seconds.push([(labels as Record<string, string>)["condition"]!, value]),
      }),
      remove: () => {},
    }),
    counter: () => ({ labels: () => ({ add: () => void failures++ }), remove: () => {} }),
  };
  const group = createHealthGroup({ clock });
  const health = group.worker({ worker: "w", epoch: "1" });
  const watch = createWorkerMetrics(meter, clock).watch(health);
  const frame = (step: number, running: number): void => {
    health.observe({ type: "frame", step, running });
    watch.seen({ step, stepAgeMs: 0, stepExpectedMs: 0, load: { running } } as EngineStatus);
  };
  return { clock, group, health, watch, frame, seconds, failures: () => failures };
}

test("a worker that falls silent was noticed after its last frame, and counts once whatever follows", () => {
  const { clock, group, health, frame, seconds } = setUp();
  health.observe({ type: "connected" });
  frame(1, 0);
  clock.advance(1_500);
  health.observe({ type: "cut" });
  expect(seconds).toHaveLength(1);
  const [condition, after] = seconds[0]!;
  expect(condition).toBe("silent");
  expect(after).toBeGreaterThanOrEqual(1);
  expect(after).toBeLessThan(1.2);
  group.close();
});

test("a stuck worker was noticed after its last step, however many frames it sent since", () => {
  const { clock, group, health, frame, seconds } = setUp();
  health.observe({ type: "connected" });
  frame(1, 1);
  for (let i = 0; i < 30 && seconds.length === 0; i++) {
    clock.advance(100);
    frame(1, 1);
  }
  expect(seconds[0]?.[0]).toBe("stuck");
  expect(seconds[0]?.[1]).toBeGreaterThanOrEqual(2);
  group.close();
});

test("a worker that leaves or drains was not detected; failed snapshots are counted", () => {
  const { group, health, watch, frame, seconds, failures } = setUp();
  health.observe({ type: "connected" });
  frame(1, 0);
  health.observe({ type: "draining" });
  health.observe({ type: "disconnected" });
  health.observe({ type: "left" });
  watch.snapshotFailed();
  expect(seconds).toEqual([]);
  expect(failures()).toBe(1);
  group.close();
});
