import type { Transport } from "@connectrpc/connect";
import type { Registration } from "@stator/contracts";
import type { Clock, Deadlines, HealthGroup, WorkerHealth } from "@stator/core";
import type { DiscoveryStore } from "../discovery/discovery.ts";
import { RuntimeError } from "../runtime-error.ts";

/** One process that serves a service, as its callers see it. */
export interface ServiceInstance {
  readonly id: string;
  readonly health: WorkerHealth;
  readonly transport: Transport;
  /** Counts a call in progress; call what it returns at its end. */
  begin(): () => void;
}

/** The live instances of one service. */
export interface ServicePool {
  /**
   * The instance with the fewest calls in progress; those in `avoid` only when there is no other. Waits for one as long
   * as for a connection.
   *
   * @throws RuntimeError `RUNTIME_SERVICE_UNAVAILABLE` when there is none.
   */
  pick(avoid: ReadonlySet<string>, signal: AbortSignal | undefined): Promise<ServiceInstance>;
  close(): void;
}

export interface ServicePoolOptions {
  readonly typeName: string;
  readonly name: string;
  readonly store: DiscoveryStore;
  readonly openTransport: (record: Registration) => { readonly transport: Transport; close(): void };
  readonly health: HealthGroup;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

interface Entry extends ServiceInstance {
  readonly epoch: string;
  calls: number;
  isDraining: boolean;
  close(): void;
}

export function createServicePool(options: ServicePoolOptions): ServicePool {
  const { typeName, name, clock, deadlines } = options;
  const entries = new Map<string, Entry>();
  const waiting = new Set<() => void>();

  const forget = (id: string): void => {
    const entry = entries.get(id);
    if (entry === undefined) return;
    entries.delete(id);
    entry.close();
  };

  const add = (record: Registration): void => {
    const { subject } = record;
    if (subject.case !== "service" || subject.value.typeName !== typeName || subject.value.name !== name)
      return;
    const known = entries.get(record.id);
    if (known?.epoch === record.epoch) {
      known.isDraining = record.draining;
      return;
    }
    forget(record.id);
    const { transport, close } = options.openTransport(record);
    const health = options.health.worker({
      worker: record.id,
      epoch: record.epoch,
      pool: `${typeName}/${name}`,
    });
    const entry: Entry = {
      id: record.id,
      epoch: record.epoch,
      health,
      transport,
      calls: 0,
      isDraining: record.draining,
      begin() {
        entry.calls += 1;
        return () => {
          entry.calls -= 1;
        };
      },
      close() {
        options.health.remove(health);
        close();
      },
    };
    entries.set(record.id, entry);
    for (const wake of [...waiting]) wake();
  };

  const stop = options.store.watch((change) => {
    if (change.type === "put") add(change.record);
    else if (entries.get(change.id)?.epoch === change.epoch) forget(change.id);
  });

  const choose = (avoid: ReadonlySet<string>): Entry | undefined => {
    let best: Entry | undefined;
    let bestCost = Number.POSITIVE_INFINITY;
    for (const entry of entries.values()) {
      // One that failed lately is still better than no answer at all.
      const penalty =
        (avoid.has(entry.id) ? 4e9 : 0) +
        (entry.isDraining ? 2e9 : 0) +
        (entry.health.isSelectable ? 0 : 1e9);
      const cost = penalty + entry.calls + Math.random() / 2;
      if (cost >= bestCost) continue;
      best = entry;
      bestCost = cost;
    }
    return best;
  };

  return {
    pick(avoid, signal) {
      const chosen = choose(avoid);
      if (chosen !== undefined) return Promise.resolve(chosen);
      return new Promise((resolve, reject) => {
        const end = (): void => {
          waiting.delete(wake);
          timer.cancel();
          signal?.removeEventListener("abort", onAbort);
        };
        const wake = (): void => {
          const arrived = choose(avoid);
          if (arrived === undefined) return;
          end();
          resolve(arrived);
        };
        const onAbort = (): void => {
          end();
          reject(signal?.reason as Error);
        };
        const timer = clock.schedule(deadlines.connectMs, () => {
          end();
          reject(
            new RuntimeError({
              code: "RUNTIME_SERVICE_UNAVAILABLE",
              kind: "unavailable",
              message: `Nobody serves ${typeName}${name === "default" ? "" : ` as ${name}`}: start it, in the same namespace and discovery.`,
              data: { service: typeName, name },
            }),
          );
        });
        waiting.add(wake);
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    },
    close() {
      stop();
      for (const id of [...entries.keys()]) forget(id);
    },
  };
}
