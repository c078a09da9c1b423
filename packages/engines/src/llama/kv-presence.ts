import type { KvEvent } from "@stator/core";

/** Which blocks this engine can use for a new request, by routing name, however many places hold them. */
export interface KvPresence {
  /** One more place holds the leading `count` blocks of a chain. */
  add(names: ArrayLike<bigint>, count: number): void;
  /** One place less holds the leading `count` blocks of a chain. */
  remove(names: ArrayLike<bigint>, count: number): void;
  /** One more place holds one block of a chain. */
  addOne(name: bigint, parent: bigint | undefined): void;
  removeOne(name: bigint): void;
  has(name: bigint): boolean;
  drainEvents(): KvEvent[];
  /** Everything held, as stored events, parents first where they are held. */
  snapshot(): KvEvent[];
}

interface Held {
  places: number;
  readonly parent: bigint | undefined;
}

export function createKvPresence(): KvPresence {
  const held = new Map<bigint, Held>();
  let events: KvEvent[] = [];
  // Neighbours travel in one event: a chain of stored blocks, or any removed ones.
  let run:
    | { readonly type: "stored" | "removed"; readonly parent: bigint | undefined; readonly names: bigint[] }
    | undefined;

  const event = (
    type: "stored" | "removed",
    names: readonly bigint[],
    parent: bigint | undefined,
  ): KvEvent => {
    const common = { sequenceHashes: BigUint64Array.from(names), tier: "device", rank: 0 } as const;
    return type === "removed"
      ? { type, ...common }
      : { type, ...(parent === undefined ? {} : { parent }), ...common };
  };
  const flush = (): void => {
    if (run !== undefined) events.push(event(run.type, run.names, run.parent));
    run = undefined;
  };
  const addOne = (name: bigint, parent: bigint | undefined): void => {
    const entry = held.get(name);
    if (entry !== undefined) {
      entry.places++;
      return;
    }
    held.set(name, { places: 1, parent });
    if (run?.type === "stored" && run.names.at(-1) === parent) run.names.push(name);
    else {
      flush();
      run = { type: "stored", parent, names: [name] };
    }
  };
  const removeOne = (name: bigint): void => {
    const entry = held.get(name);
    if (entry === undefined || --entry.places > 0) return;
    held.delete(name);
    if (run?.type === "removed") run.names.push(name);
    else {
      flush();
      run = { type: "removed", parent: undefined, names: [name] };
    }
  };

  return {
    addOne,
    removeOne,
    has: (name) => held.has(name),
    add(names, count) {
      for (let i = 0; i < count; i++) addOne(names[i]!, i === 0 ? undefined : names[i - 1]!);
    },
    remove(names, count) {
      for (let i = count - 1; i >= 0; i--) removeOne(names[i]!);
    },
    drainEvents() {
      flush();
      const drained = events;
      events = [];
      return drained;
    },
    snapshot() {
      const done = new Set<bigint>();
      const out: KvEvent[] = [];
      const emit = (name: bigint, { parent }: Held): void => {
        const chain: [bigint, bigint | undefined][] = [];
        for (let at: bigint | undefined = name, up = parent; at !== undefined && !done.has(at);) {
          done.add(at);
          chain.push([at, up]);
          const next: Held | undefined = up === undefined ? undefined : held.get(up);
          at = next === undefined ? undefined : up;
          up = next?.parent;
        }
        for (const [block, before] of chain.reverse()) out.push(event("stored", [block], before));
      };
      for (const [name, entry] of held) emit(name, entry);
      return out;
    },
  };
}
