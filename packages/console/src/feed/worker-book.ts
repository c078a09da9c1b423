import type { EngineStatus, WorkerHandle, WorkerSource } from "@stator/core";
import { RevisedMap, type Revisions } from "./revisions.ts";
import type { ProbeView, WorkerView } from "./views.ts";

/** The workers of some sources, as views. */
export interface WorkerBook {
  modelOf(worker: string): string | undefined;
  /** What a probe of one rank of this life showed. */
  probed(worker: string, epoch: string, rank: number, probe: ProbeView): void;
  since(revision: number): { readonly workers: readonly WorkerView[]; readonly gone: readonly string[] };
  close(): void;
}

/** Workers shown at once. */
const mostWorkers = 512;

const byConcern: readonly ProbeView["outcome"][] = ["failed", "unproven", "waiting", "skipped", "passed"];

function worst(probes: readonly ProbeView[]): ProbeView | undefined {
  for (const outcome of byConcern) {
    const found = probes.find((probe) => probe.outcome === outcome);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function createWorkerBook(sources: readonly WorkerSource[], revisions: Revisions): WorkerBook {
  const views = new RevisedMap<WorkerView>(revisions, mostWorkers);
  const gone = new RevisedMap<string>(revisions, mostWorkers);
  const handles = new Map<WorkerHandle, () => void>();
  /** Of present lives, by rank. */
  const probes = new Map<string, { readonly epoch: string; readonly ranks: Map<number, ProbeView> }>();
  const shows = new Map<string, () => void>();
  const stops: (() => void)[] = [];

  function add(handle: WorkerHandle): void {
    if (handles.has(handle)) return;
    const { worker } = handle;
    let load = {
      running: 0,
      waiting: 0,
      queuedPrefillTokens: 0,
      kvBlocksUsed: 0,
      kvBlocksTotal: worker.capacity.kvBlocks,
      kvBlocksLeaked: 0,
    };
    const show = (): void => {
      const { state, reason } = handle.health;
      const { epoch, model, role, ranks, labels, id } = worker;
      const known = probes.get(id);
      const probe = known?.epoch === epoch ? worst([...known.ranks.values()]) : undefined;
      views.set(id, {
        id,
        epoch,
        model,
        role,
        state,
        ...(reason === undefined ? {} : { reason }),
        running: load.running,
        waiting: load.waiting,
        queuedPrefillTokens: load.queuedPrefillTokens,
        kvBlocksUsed: load.kvBlocksUsed,
        kvBlocksTotal: load.kvBlocksTotal,
        kvBlocksLeaked: load.kvBlocksLeaked,
        capacityRequests: worker.capacity.requests,
        ranks,
        labels,
        ...(probe === undefined ? {} : { probe }),
      });
    };
    shows.set(worker.id, show);
    const stopHealth = handle.health.onChange(show);
    const stopStatus = handle.engine.onStatus?.((status: EngineStatus) => {
      const next = status.load;
      const kvBlocksLeaked = next.kvBlocksLeaked ?? 0;
      const isSame =
        next.running === load.running &&
        next.waiting === load.waiting &&
        next.kvBlocksUsed === load.kvBlocksUsed &&
        kvBlocksLeaked === load.kvBlocksLeaked &&
        next.queuedPrefillTokens === load.queuedPrefillTokens;
      if (isSame) return;
      const { running, waiting, queuedPrefillTokens, kvBlocksUsed, kvBlocksTotal } = next;
      load = {
        running,
        waiting,
        queuedPrefillTokens,
        kvBlocksUsed,
        kvBlocksTotal: kvBlocksTotal || worker.capacity.kvBlocks,
        kvBlocksLeaked,
      };
      show();
    });
    handles.set(handle, () => {
      stopHealth();
      stopStatus?.();
    });
    gone.delete(worker.id);
    show();
  }

  function remove(handle: WorkerHandle): void {
    handles.get(handle)?.();
    handles.delete(handle);
    const { id, epoch } = handle.worker;
    // A new life of the same worker may have joined already.
    if (views.get(id)?.epoch !== epoch) return;
    views.delete(id);
    probes.delete(id);
    shows.delete(id);
    gone.set(id, id);
  }

  for (const source of sources) {
    stops.push(
      source.onChange((change) => (change.type === "joined" ? add(change.handle) : remove(change.handle))),
    );
    for (const handle of source.current()) add(handle);
  }

  return {
    probed(worker, epoch, rank, probe) {
      const show = shows.get(worker);
      if (show === undefined) return;
      let known = probes.get(worker);
      if (known?.epoch !== epoch) probes.set(worker, (known = { epoch, ranks: new Map() }));
      known.ranks.set(rank, probe);
      show();
    },
    modelOf: (worker) => views.get(worker)?.model,
    since: (revision) => ({
      workers: views.since(revision),
      gone: revision === 0 ? [] : gone.since(revision),
    }),
    close() {
      for (const stop of stops) stop();
      for (const stop of handles.values()) stop();
      handles.clear();
    },
  };
}
