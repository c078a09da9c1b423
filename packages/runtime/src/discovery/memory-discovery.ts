import type { Clock } from "@stator/core";
import type { Discovery } from "./discovery.ts";
import { fenced } from "./fenced.ts";
import { createRecordSet, type RecordSet } from "./record-set.ts";

interface Namespace {
  readonly records: RecordSet;
  /** When each record was renewed, on the clock of the runtime that looks after it. */
  readonly renewedMs: Map<string, number>;
}

/**
 * Who exists, in this process only: what `createRuntime` uses when nothing is said. Runtimes that are given the same
 * object see each other; the calls between them stay in the process too.
 */
export function memoryDiscovery(): Discovery {
  const namespaces = new Map<string, Namespace>();
  return {
    name: "memory",
    isLocal: true,
    open({ namespace, clock, deadlines }) {
      let space = namespaces.get(namespace);
      if (space === undefined)
        namespaces.set(namespace, (space = { records: createRecordSet(), renewedMs: new Map() }));
      const { records, renewedMs } = space;
      const watches = new Set<() => void>();
      const sweeper = startSweeper(clock, deadlines.registrationHeartbeatMs, () => {
        for (const [id, atMs] of renewedMs) {
          if (clock.now() - atMs <= deadlines.registrationTtlMs) continue;
          renewedMs.delete(id);
          records.lose(id);
        }
      });
      return Promise.resolve({
        put(record, { claim }) {
          const owner = records.get(record.id);
          if (!claim && owner !== undefined && owner.epoch !== record.epoch) {
            return Promise.reject(fenced(record.id, record.epoch, owner.epoch));
          }
          renewedMs.set(record.id, clock.now());
          records.see(record);
          return Promise.resolve();
        },
        remove(id, epoch) {
          if (records.get(id)?.epoch === epoch) renewedMs.delete(id);
          records.lose(id, epoch);
          return Promise.resolve();
        },
        watch(listener) {
          const stop = records.watch(listener);
          watches.add(stop);
          return stop;
        },
        close() {
          sweeper.stop();
          for (const stop of watches) stop();
          return Promise.resolve();
        },
      });
    },
  };
}

/** Calls `sweep` again and again. */
export function startSweeper(clock: Clock, everyMs: number, sweep: () => void): { stop(): void } {
  const run = (): void => {
    timer = clock.schedule(everyMs, run);
    sweep();
  };
  let timer = clock.schedule(everyMs, run);
  return { stop: () => timer.cancel() };
}
