import type { KvEvent, KvTier } from "@stator/core";

/** Which blocks this engine can use for a new request, by tier and routing name, however many places hold them. */
export interface KvPresence {
  /** One more idle sequence holds the leading `count` blocks of a chain. */
  add(names: ArrayLike<bigint>, count: number): void;
  /** One idle sequence less holds the leading `count` blocks of a chain. */
  remove(names: ArrayLike<bigint>, count: number): void;
  /** One more place of a tier holds one block of a chain: two blocks under different keys may have one name. */
  addOne(tier: KvTier, name: bigint, parent: bigint | undefined): void;
  removeOne(tier: KvTier, name: bigint): void;
  has(name: bigint): boolean;
  drainEvents(): KvEvent[];
  /** Everything held, as stored events, parents first where they are held. */
  snapshot(): KvEvent[];
}

interface Held {
  places: number;
  readonly parent: bigint | undefined;
}

/** Neighbours travel in one event: a chain of stored blocks, or any removed ones. */
interface Run {
  readonly type: "stored" | "removed";
  readonly tier: KvTier;
  readonly parent: bigint | undefined;
  readonly names: bigint[];
}

const device: KvTier = "device";

export function createKvPresence(): KvPresence {
  const tiers: Readonly<Record<KvTier, Map<bigint, Held>>> = {
    device: new Map(),
    host: new Map(),
    disk: new Map(),
    shared: new Map(),
  };
  const maps = Object.values(tiers);
  let events: KvEvent[] = [];
  let run: Run | undefined;

  const flush = (): void => {
    if (run !== undefined) events.push(eventOf(run));
    run = undefined;
  };
  const addOne = (tier: KvTier, name: bigint, parent: bigint | undefined): void => {
    const entry = tiers[tier].get(name);
    if (entry !== undefined) {
      entry.places++;
      return;
    }
    tiers[tier].set(name, { places: 1, parent });
    if (run?.type === "stored" && run.tier === tier && run.names.at(-1) === parent) run.names.push(name);
    else {
      flush();
      run = { type: "stored", tier, parent, names: [name] };
    }
  };
  const removeOne = (tier: KvTier, name: bigint): void => {
    const entry = tiers[tier].get(name);
    if (entry === undefined || --entry.places > 0) return;
    tiers[tier].delete(name);
    if (run?.type === "removed" && run.tier === tier) run.names.push(name);
    else {
      flush();
      run = { type: "removed", tier, parent: undefined, names: [name] };
    }
  };

  return {
    addOne,
    removeOne,
    has: (name) => maps.some((held) => held.has(name)),
    add(names, count) {
      for (let i = 0; i < count; i++) addOne(device, names[i]!, i === 0 ? undefined : names[i - 1]!);
    },
    remove(names, count) {
      for (let i = count - 1; i >= 0; i--) removeOne(device, names[i]!);
    },
    drainEvents() {
      flush();
      const drained = events;
      events = [];
      return drained;
    },
    snapshot: () => (Object.keys(tiers) as KvTier[]).flatMap((tier) => snapshotOf(tier, tiers[tier])),
  };
}

function eventOf({ type, tier, parent, names }: Run): KvEvent {
  const common = { sequenceHashes: BigUint64Array.from(names), tier, rank: 0 } as const;
  return type === "removed"
    ? { type, ...common }
    : { type, ...(parent === undefined ? {} : { parent }), ...common };
}

function snapshotOf(tier: KvTier, held: ReadonlyMap<bigint, Held>): KvEvent[] {
  const done = new Set<bigint>();
  const out: KvEvent[] = [];
  for (const name of held.keys()) {
    // Up to the first ancestor that was told already or is not held, then down again as one chain.
    const names: bigint[] = [];
    let at: bigint | undefined = name;
    for (; at !== undefined && held.has(at) && !done.has(at); at = held.get(at)!.parent) {
      done.add(at);
      names.push(at);
    }
    if (names.length > 0) out.push(eventOf({ type: "stored", tier, parent: at, names: names.reverse() }));
  }
  return out;
}
