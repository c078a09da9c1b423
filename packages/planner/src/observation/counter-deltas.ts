import type { Sample } from "./prometheus-text.ts";

/** Growth of counters between reads, over several endpoints that come, go and restart. */
export interface CounterDeltas {
  /** Growth of every series of one endpoint since its last read. */
  read(endpoint: string, samples: readonly Sample[]): readonly Sample[];
}

/**
 * A counter that fell was reset: its whole value is new. What is there at the very first read happened before, but an
 * endpoint or series that appears later started at zero.
 */
export function createCounterDeltas(): CounterDeltas {
  const last = new Map<string, number>();
  const known = new Set<string>();
  let hasStarted = false;
  let firstEndpoints = new Set<string>();
  return {
    read(endpoint, samples) {
      if (firstEndpoints.has(endpoint)) hasStarted = true;
      const isFirst = !hasStarted && !known.has(endpoint);
      if (isFirst) firstEndpoints = firstEndpoints.add(endpoint);
      known.add(endpoint);
      return samples.map(({ name, labels, value }) => {
        const key = `${endpoint}\n${name}\n${JSON.stringify(labels)}`;
        const before = last.get(key) ?? (isFirst ? value : 0);
        last.set(key, value);
        return { name, labels, value: value >= before ? value - before : value };
      });
    },
  };
}
