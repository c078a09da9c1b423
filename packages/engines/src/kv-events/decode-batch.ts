import { decode } from "@msgpack/msgpack";
import type { KvTier } from "@stator/core";
import type { EngineBatch, EngineEvent, EngineStored } from "./engine-event.ts";

/**
 * Reads a message of vLLM's or SGLang's event feed, in every form there has been: batches as arrays or maps, events as
 * tagged arrays of any length or tagged maps, keys as signed or unsigned integers or bytes, a rank that is missing or nil.
 *
 * @throws when the payload is no MessagePack batch.
 */
export function decodeBatch(payload: Uint8Array): EngineBatch {
  const raw = decode(payload, { useBigInt64: true });
  const [events, rank] = Array.isArray(raw)
    ? [raw[1] as unknown, raw[2] as unknown]
    : [(raw as Fields)["events"], (raw as Fields)["data_parallel_rank"]];
  if (!Array.isArray(events)) throw new Error("the message holds no list of events");
  return {
    events: events.flatMap((event) => eventOf(event) ?? []),
    rank: rank === undefined || rank === null ? undefined : Number(rank),
  };
}

type Fields = Readonly<Record<string, unknown>>;

const storedFields = [
  "block_hashes",
  "parent_block_hash",
  "token_ids",
  "block_size",
  "lora_id",
  "medium",
  "lora_name",
  "extra_keys",
  "group_idx",
  "kv_cache_spec_kind",
  "kv_cache_spec_sliding_window",
];
const removedFields = ["block_hashes", "medium", "group_idx"];

function eventOf(event: unknown): EngineEvent | undefined {
  const fields = Array.isArray(event) ? named(event as unknown[]) : (event as Fields);
  switch (fields["type"]) {
    case "BlockStored":
      return storedOf(fields);
    case "BlockRemoved":
      return {
        type: "removed",
        keys: listOf(fields["block_hashes"]).map(keyOf),
        tier: tierOf(fields["medium"]),
        group: Number(fields["group_idx"] ?? 0),
      };
    case "AllBlocksCleared":
      return { type: "cleared" };
    default:
      // A kind of a newer release: what it says of blocks is unknown, and not wrong.
      return undefined;
  }
}

function named([type, ...values]: readonly unknown[]): Fields {
  const names = type === "BlockStored" ? storedFields : removedFields;
  const fields: Record<string, unknown> = { type };
  for (const [i, value] of values.entries()) {
    const name = names[i];
    if (name !== undefined) fields[name] = value;
  }
  return fields;
}

function storedOf(fields: Fields): EngineStored {
  const parent = fields["parent_block_hash"];
  const keys = listOf(fields["block_hashes"]).map(keyOf);
  const name = fields["lora_name"];
  const id = fields["lora_id"];
  // An interim form of SGLang has a map where vLLM has extra keys.
  const extra = fields["extra_keys"] ?? fields["lora_name"];
  const metadata = isMap(extra) ? extra : ((fields["metadata"] ?? {}) as Fields);
  const saltField = metadata["cache_salt"] ?? fields["cache_salt"];
  const adapter =
    typeof name === "string"
      ? name
      : typeof id === "string"
        ? id
        : id === null || id === undefined
          ? undefined
          : String(id);
  const ownKeys =
    saltField === undefined
      ? extraKeys(fields["extra_keys"], adapter, parent === undefined || parent === null)
      : {};
  const salt = typeof saltField === "string" && saltField !== "" ? saltField : ownKeys.salt;
  return {
    type: "stored",
    keys,
    parent: parent === undefined || parent === null ? undefined : keyOf(parent),
    tokenIds: listOf(fields["token_ids"]).map(Number),
    blockTokens: Number(fields["block_size"] ?? 0),
    adapter,
    salt,
    isUnnameable: ownKeys.isUnnameable === true,
    tier: tierOf(fields["medium"]),
    group: Number(fields["group_idx"] ?? 0),
    groupKind: typeof fields["kv_cache_spec_kind"] === "string" ? fields["kv_cache_spec_kind"] : undefined,
  };
}

/**
 * What vLLM mixed into the keys, one list per block: the adapter's name, media, and the salt in the first block of a prompt.
 * A single string that is not the adapter in the first block is the salt; anything else cannot be named by us.
 */
function extraKeys(
  value: unknown,
  adapter: string | undefined,
  isRoot: boolean,
): { readonly salt?: string; readonly isUnnameable?: boolean } {
  if (!Array.isArray(value)) return {};
  let salt: string | undefined;
  for (const [block, keys] of (value as unknown[]).entries()) {
    const rest = (Array.isArray(keys) ? (keys as unknown[]) : []).filter(
      (key) => key !== adapter && key !== null,
    );
    if (rest.length === 0) continue;
    if (block > 0 || !isRoot || rest.length > 1 || typeof rest[0] !== "string") return { isUnnameable: true };
    salt = rest[0];
  }
  return salt === undefined ? {} : { salt };
}

const isMap = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);

/** Integers of either sign as 64 bits; of bytes the last eight, which is what the integer form shows of them. */
function keyOf(value: unknown): bigint {
  if (value instanceof Uint8Array) {
    let key = 0n;
    for (const byte of value.subarray(-8)) key = (key << 8n) | BigInt(byte);
    return key;
  }
  return BigInt.asUintN(64, BigInt(value as number | bigint));
}

/** vLLM: GPU, CPU, STORAGE. SGLang: GPU, CPU_PINNED, DISK, EXTERNAL. */
function tierOf(medium: unknown): KvTier {
  switch (String(medium ?? "GPU").toUpperCase()) {
    case "CPU":
    case "CPU_PINNED":
      return "host";
    case "DISK":
      return "disk";
    case "STORAGE":
    case "EXTERNAL":
      return "shared";
    default:
      return "device";
  }
}
