import type { Clock, EngineStatus, Meter, WorkerHealth } from "@stator/core";

/** Around the deadlines of silence (1 s) and of standstill (2 s and more). */
const detectionBuckets: readonly number[] = [0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30];

/** What a runtime measures of the workers that it holds sessions to. */
export interface WorkerMetrics {
  /** Follows one life of a worker. */
  watch(health: WorkerHealth): WorkerWatch;
}

export interface WorkerWatch {
  seen(status: EngineStatus): void;
  snapshotFailed(): void;
  stop(): void;
}

/** Conditions in which a worker was found to be broken, rather than to have left. */
const broken: ReadonlySet<string> = new Set(["silent", "stuck", "ejected", "unfit"]);

export function createWorkerMetrics(meter: Meter, clock: Clock): WorkerMetrics {
  const detection = meter.histogram({
    name: "detection",
    unit: "seconds",
    help: "From a worker's last sign of life (of progress, when it was stuck) until it was taken out of service, by condition.",
    labels: ["condition"],
    buckets: detectionBuckets,
  });
  for (const condition of broken) detection.labels({ condition });
  const failures = meter
    .counter({
      name: "snapshot_failures",
      help: "Snapshots of a worker's KV blocks that could not be fetched.",
    })
    .labels({});
  return {
    watch(health) {
      let seenMs: number | undefined;
      let stepMs = 0;
      let step = -1;
      let wasBroken = false;
      const stop = health.onChange((_state, condition) => {
        const isBroken = broken.has(condition);
        // One death counts once, whatever it turns into.
        if (isBroken && !wasBroken && seenMs !== undefined) {
          const sinceMs = condition === "stuck" ? stepMs : seenMs;
          detection.labels({ condition }).observe((clock.now() - sinceMs) / 1_000);
        }
        wasBroken = isBroken;
      });
      return {
        seen(status) {
          seenMs = clock.now();
          if (status.step === step && status.load.running > 0) return;
          step = status.step;
          stepMs = seenMs;
        },
        snapshotFailed: () => failures.add(),
        stop,
      };
    },
  };
}
