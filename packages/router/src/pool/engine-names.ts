import type { Engine } from "@stator/core";

const names = new WeakMap<Engine, string>();
/** Names given so far, by pool name. */
const given = new Map<string, number>();

/**
 * The name of a plain engine as a worker, by the pool that it came to first: `prefill-0`, `prefill-1`, … Two engines of one process
 * are never one worker, whatever their pools are called, so that giving one up leaves the other alone; one engine in two
 * pools is one worker, because it dies in both.
 */
export function nameOfEngine(engine: Engine, pool: string): string {
  let name = names.get(engine);
  if (name === undefined) {
    const next = given.get(pool) ?? 0;
    given.set(pool, next + 1);
    names.set(engine, (name = `${pool}-${next}`));
  }
  return name;
}
