/** Counts changes, so that each reader of the feed gets what is new to it. */
export interface Revisions {
  readonly current: number;
  next(): number;
}

export function createRevisions(): Revisions {
  let current = 0;
  return {
    get current() {
      return current;
    },
    next: () => ++current,
  };
}

/** A value's place in a `RevisedMap`. */
export interface Revised {
  revision: number;
}

/** Values by key with the revision of their last change; the oldest are dropped beyond `most`. */
export class RevisedMap<Value> {
  readonly #revisions: Revisions;
  readonly #most: number;
  readonly #values = new Map<string, { value: Value; revision: number }>();

  constructor(revisions: Revisions, most: number) {
    this.#revisions = revisions;
    this.#most = most;
  }

  get(key: string): Value | undefined {
    return this.#values.get(key)?.value;
  }

  set(key: string, value: Value): Revised {
    const entry = { value, revision: this.#revisions.next() };
    this.#values.set(key, entry);
    if (this.#values.size > this.#most) this.#values.delete(this.#values.keys().next().value as string);
    return entry;
  }

  /** Says that the value behind a handle of `set` was changed in place. */
  touch(entry: Revised): void {
    entry.revision = this.#revisions.next();
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  /** Values that changed after `revision`, oldest entry first. */
  since(revision: number): Value[] {
    const changed: Value[] = [];
    for (const entry of this.#values.values()) if (entry.revision > revision) changed.push(entry.value);
    return changed;
  }
}
