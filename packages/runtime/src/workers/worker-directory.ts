import type { Registration } from "@stator/contracts";
import type {
  Clock,
  Deadlines,
  HealthGroup,
  Logger,
  WorkerChange,
  WorkerHandle,
  WorkerRole,
  WorkerSource,
} from "@stator/core";
import type { DiscoveryChange, DiscoveryStore } from "../discovery/discovery.ts";
import type { SessionLink } from "../session/session-port.ts";
import { connectWorker, matches, type WorkerConnection } from "./worker-connection.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";

export interface WorkerFilter {
  /** Only workers of this model. */
  readonly model?: string;
  /** Only workers of this role, and those that take both. */
  readonly role?: WorkerRole;
}

export interface WorkerDirectoryOptions {
  readonly store: DiscoveryStore;
  readonly openLink: (address: string) => SessionLink;
  readonly health: HealthGroup;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly metrics: WorkerMetrics;
}

/** All workers that this process knows, with one session each; sources are views of it. */
export interface WorkerDirectory {
  source(filter: WorkerFilter): WorkerSource;
  close(): void;
}

export function createWorkerDirectory(options: WorkerDirectoryOptions): WorkerDirectory {
  const { clock, deadlines } = options;
  const connections = new Map<string, WorkerConnection>();
  const graces = new Map<string, { cancel(): void }>();
  const listeners = new Set<(change: WorkerChange) => void>();
  let stopWatch: (() => void) | undefined;

  const tell = (change: WorkerChange): void => {
    for (const listener of [...listeners]) listener(change);
  };

  const forget = (id: string): void => {
    const connection = connections.get(id);
    graces.get(id)?.cancel();
    graces.delete(id);
    if (connection === undefined) return;
    connections.delete(id);
    const { handle } = connection;
    connection.close();
    if (handle !== undefined) tell({ type: "left", handle });
  };

  const put = (record: Registration): void => {
    if (record.subject.case !== "worker") return;
    const known = connections.get(record.id);
    graces.get(record.id)?.cancel();
    graces.delete(record.id);
    if (known !== undefined && known.epoch === record.epoch && known.address === record.address) {
      known.registered();
      return;
    }
    // Another life: whatever the earlier one says from here on is not heard.
    forget(record.id);
    connections.set(
      record.id,
      connectWorker({ ...options, record, onReady: (handle) => tell({ type: "joined", handle }) }),
    );
  };

  const removed = (id: string, epoch: string): void => {
    const connection = connections.get(id);
    if (connection === undefined || connection.epoch !== epoch) return;
    connection.unregistered();
    // A store that was emptied says this of everyone: who speaks stays, and registers again.
    const check = (): void => {
      if (connections.get(id) !== connection) return;
      if (!connection.isOpen) return forget(id);
      graces.set(id, clock.schedule(deadlines.registrationHeartbeatMs, check));
    };
    check();
  };

  const onChange = (change: DiscoveryChange): void => {
    if (change.type === "put") put(change.record);
    else removed(change.id, change.epoch);
  };

  return {
    source(filter) {
      stopWatch ??= options.store.watch(onChange);
      return {
        current() {
          const handles: WorkerHandle[] = [];
          for (const { handle } of connections.values()) {
            if (handle !== undefined && matches(handle.worker, filter)) handles.push(handle);
          }
          return handles;
        },
        onChange(listener) {
          const filtered = (change: WorkerChange): void => {
            if (matches(change.handle.worker, filter)) listener(change);
          };
          listeners.add(filtered);
          return () => listeners.delete(filtered);
        },
      };
    },
    close() {
      stopWatch?.();
      for (const id of [...connections.keys()]) forget(id);
      listeners.clear();
    },
  };
}
