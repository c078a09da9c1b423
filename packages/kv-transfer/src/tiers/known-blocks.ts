import { changeOf, keyText, type OnTierChange, type TierBlock } from "./kv-tier.ts";

type Name = Pick<TierBlock, "name" | "parent">;

/** Keys whose presence is remembered; the oldest are forgotten. */
const mostKnown = 262_144;

/** Which blocks are known to be where several processes keep theirs: those put there by this one are told to the router, those of others are only remembered. */
export interface KnownBlocks {
  readonly size: number;
  has(key: Uint8Array): boolean;
  /** It is there. @param name of a block that this process put there */
  learn(key: Uint8Array, name?: Name): void;
  /** It is there no more. */
  unlearn(key: Uint8Array): void;
}

export function createKnownBlocks(onChange: OnTierChange): KnownBlocks {
  // `undefined` for what others put there.
  const known = new Map<string, Name | undefined>();
  return {
    get size() {
      return known.size;
    },
    has: (key) => known.has(keyText(key)),
    learn(key, name) {
      const id = keyText(key);
      const before = known.get(id);
      known.delete(id);
      known.set(id, before ?? name);
      if (known.size > mostKnown) known.delete(known.keys().next().value as string);
      if (before === undefined && name !== undefined)
        onChange(changeOf("stored", "shared", { key, ...name }));
    },
    unlearn(key) {
      const id = keyText(key);
      const name = known.get(id);
      known.delete(id);
      if (name !== undefined) onChange(changeOf("removed", "shared", { key, ...name }));
    },
  };
}
