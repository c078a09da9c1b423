import type { S3Client } from "@aws-sdk/client-s3";
import { setMaxListeners } from "node:events";
import { crc32 } from "node:zlib";
import { blockHeaderBytes, readBlockHeader, scopeNumber, writeBlockHeader } from "../tiers/block-file.ts";
import { createKnownBlocks } from "../tiers/known-blocks.ts";
import type { Tier, TierPlugin } from "../tiers/kv-tier.ts";
import { transferError } from "../transfer-error.ts";
import { createObjectStore } from "./object-store.ts";

export interface S3TierOptions {
  /** The caller's. It stays open. */
  readonly client: S3Client;
  readonly bucket: string;
  /** Begins every key, `kv/` for instance. Default none. */
  readonly prefix?: string;
  /** Longest wait for the store, ms. Default 2,000. Silence costs a block, never a request. */
  readonly timeoutMs?: number;
}

/** Keys asked for at a time while the leading ones are looked for. */
const askedAtOnce = 16;

/**
 * Blocks as objects of a bucket, for all workers of one model: an object per block, under the store's scope and the block's SHA-256 key, with checksums of
 * header and payload. How long and how much is kept is the bucket's lifecycle rules' to say.
 */
export function s3Tier(options: S3TierOptions): TierPlugin {
  const { prefix = "", timeoutMs = 2_000 } = options;
  if (!(timeoutMs > 0))
    throw transferError("TRANSFER_OPTION_INVALID", "s3Tier: timeoutMs must be above 0.", { timeoutMs });
  return {
    open(onChange, scopeText) {
      const store = createObjectStore(options);
      const scope = scopeNumber(scopeText);
      const folder = `${prefix}${scope.toString(16).padStart(16, "0")}/`;
      const objectOf = (key: Uint8Array): string => `${folder}${Buffer.from(key).toString("hex")}`;
      const known = createKnownBlocks(onChange);
      const tier: Tier = {
        kind: "shared",
        budgetBytes: Infinity,
        usedBytes: 0,
        get blocks() {
          return known.size;
        },
        has: known.has,
        async find(keys) {
          const signal = AbortSignal.timeout(timeoutMs);
          setMaxListeners(0, signal);
          for (let from = 0; from < keys.length; from += askedAtOnce) {
            const some = keys.slice(from, from + askedAtOnce);
            const are = await Promise.all(
              some.map((key) => tier.has(key) || store.has(objectOf(key), signal).catch(() => false)),
            );
            const missing = are.indexOf(false);
            for (const key of some.slice(0, missing < 0 ? some.length : missing)) known.learn(key);
            if (missing >= 0) return from + missing;
          }
          return keys.length;
        },
        async get(key) {
          try {
            const found = await store.get(objectOf(key), { signal: AbortSignal.timeout(timeoutMs) });
            if (found === undefined) throw transferError("TRANSFER_REGION_GONE", "The block was removed.");
            const header = readBlockHeader(found.bytes, key);
            const payload = found.bytes.subarray(blockHeaderBytes);
            if (payload.length !== header.bytes || crc32(payload) !== header.checksum)
              throw transferError("TRANSFER_CHECKSUM", `Object ${objectOf(key)} is damaged.`);
            const parent = header.parent === undefined ? {} : { parent: header.parent };
            return { key, name: header.name, ...parent, bytes: payload };
          } catch {
            // Gone, damaged or out of reach: the block is computed again.
            known.unlearn(key);
            return undefined;
          }
        },
        async put(block) {
          if (tier.has(block.key)) return true;
          const { key, name, parent, bytes } = block;
          const object = new Uint8Array(blockHeaderBytes + bytes.length);
          object.set(writeBlockHeader({ scope, key, name, parent }, bytes));
          object.set(bytes, blockHeaderBytes);
          try {
            await store.put(objectOf(key), object, AbortSignal.timeout(timeoutMs));
          } catch {
            return false;
          }
          known.learn(key, { name, parent });
          return true;
        },
        async remove(key) {
          known.unlearn(key);
          await store.delete([objectOf(key)]).catch(() => undefined);
        },
        close: () => Promise.resolve(),
      };
      return Promise.resolve(tier);
    },
  };
}
