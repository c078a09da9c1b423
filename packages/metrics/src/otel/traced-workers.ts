import type { Engine, WorkerHandle, WorkerSource } from "@stator/core";

/** `source` with other engines; a handle keeps its identity for the life of its worker. */
export function tracedWorkers(
  source: WorkerSource,
  engineOf: (handle: WorkerHandle) => Engine,
): WorkerSource {
  const known = new WeakMap<WorkerHandle, WorkerHandle>();
  const wrap = (handle: WorkerHandle): WorkerHandle => {
    let wrapped = known.get(handle);
    if (wrapped === undefined) {
      const engine = engineOf(handle);
      wrapped = {
        engine,
        get worker() {
          return handle.worker;
        },
        get card() {
          return handle.card;
        },
        get health() {
          return handle.health;
        },
      };
      known.set(handle, wrapped);
    }
    return wrapped;
  };
  return {
    current: () => source.current().map(wrap),
    onChange: (listener) => source.onChange((change) => listener({ ...change, handle: wrap(change.handle) })),
  };
}
