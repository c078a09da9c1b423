import type { ConnectRouter } from "@connectrpc/connect";
import { unknownWorker, type EngineHost } from "./session/worker/engine-host.ts";

/** What one runtime of this process serves. */
export interface LocalEnd {
  readonly hosts: Map<string, EngineHost>;
  /** Routes of user-defined services by registration id. */
  readonly services: Map<string, (router: ConnectRouter) => void>;
}

/** By address: a call between two runtimes of one process takes no socket. */
const ends = new Map<string, LocalEnd>();

export function openLocalEnd(address: string, end: LocalEnd): void {
  ends.set(address, end);
}

export function closeLocalEnd(address: string): void {
  ends.delete(address);
}

export function findLocalEnd(address: string): LocalEnd | undefined {
  return ends.get(address);
}

/** @throws RuntimeError `RUNTIME_WORKER_UNKNOWN`. */
export function findHost(end: LocalEnd, worker: string): EngineHost {
  const host = end.hosts.get(worker);
  if (host === undefined) throw unknownWorker(worker);
  return host;
}
