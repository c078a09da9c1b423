import {
  createHealthGroup,
  type Clock,
  type Deadlines,
  type Engine,
  type EngineStatus,
  type HealthGroup,
  type Worker,
  type WorkerChange,
  type WorkerHandle,
  type WorkerSource,
} from "@stator/core";
import { nameOfEngine } from "./engine-names.ts";

/** A worker source over engines of this process, each a worker of its own. */
export interface EngineSource extends WorkerSource {
  close(): void;
}

/** How long an engine is looked at again when its card is not known yet, in milliseconds. */
const cardRetryMs = 250;

/**
 * Makes workers out of plain engines, named by `nameOfEngine`. Their health comes from their own statuses; an engine that
 * starts another life (another epoch in its events) leaves and joins as a new worker epoch.
 */
export function engineSource(
  engines: readonly Engine[],
  options: { readonly name: string; readonly clock: Clock; readonly deadlines: Partial<Deadlines> },
): EngineSource {
  const group = createHealthGroup(options);
  const listeners = new Set<(change: WorkerChange) => void>();
  const handles = new Map<number, WorkerHandle>();
  /** The engine's own name for its present life. */
  const lives = new Map<number, string>();
  const stops: (() => void)[] = [];

  const tell = (change: WorkerChange): void => {
    for (const listener of [...listeners]) listener(change);
  };
  const join = (index: number, epoch: string): void => {
    const handle = handleOf(engines[index]!, nameOfEngine(engines[index]!, options.name), epoch, group);
    if (handle === undefined) {
      const timer = options.clock.schedule(cardRetryMs, () => join(index, epoch));
      stops.push(() => timer.cancel());
      return;
    }
    handles.set(index, handle);
    tell({ type: "joined", handle });
  };
  const leave = (index: number): void => {
    const handle = handles.get(index);
    if (handle === undefined) return;
    handles.delete(index);
    group.remove(handle.health);
    tell({ type: "left", handle });
  };

  engines.forEach((engine, index) => {
    join(index, "0");
    const first = engine.snapshot?.()?.epoch;
    if (first !== undefined) lives.set(index, first);
    const stop = engine.onStatus?.((status) => {
      const epoch = status.events?.at(-1)?.epoch;
      const known = lives.get(index);
      if (epoch !== undefined) lives.set(index, epoch);
      const isReborn = epoch !== undefined && known !== undefined && known !== epoch;
      if (isReborn) {
        leave(index);
        join(index, epoch);
      }
      const handle = handles.get(index);
      if (handle !== undefined) observeStatus(handle, status);
    });
    if (stop !== undefined) stops.push(stop);
  });

  return {
    current: () => [...handles.values()],
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      for (const stop of stops) stop();
      group.close();
      listeners.clear();
    },
  };
}

const noCapacityLimit = Number.MAX_SAFE_INTEGER;

function handleOf(engine: Engine, id: string, epoch: string, group: HealthGroup): WorkerHandle | undefined {
  const { card } = engine;
  if (card === undefined) return undefined;
  const worker: Worker = {
    id,
    epoch,
    role: "both",
    model: card.model,
    capacity: { requests: noCapacityLimit, kvBlocks: 0, queue: 0 },
    ranks: 1,
    labels: {},
  };
  return { worker, card, engine, health: group.worker({ worker: worker.id, epoch }) };
}

function observeStatus({ health }: WorkerHandle, status: EngineStatus): void {
  health.observe({
    type: "frame",
    step: status.step,
    running: status.load.running,
    stepAgeMs: status.stepAgeMs,
    stepExpectedMs: status.stepExpectedMs,
  });
  if (status.isDraining === true) health.observe({ type: "draining" });
  if (status.unfit !== undefined) health.observe({ type: "unfit", reason: status.unfit });
}
