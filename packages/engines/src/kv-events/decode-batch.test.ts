import { encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { decodeBatch } from "./decode-batch.ts";

/** Messages as engines send them, byte by byte. */
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
const key = 15_444_946_753_610_453_501n;
const stored = {
  type: "stored",
  keys: [key],
  parent: undefined,
  tokenIds: [1, 2, 3, 4],
  blockTokens: 4,
  adapter: undefined,
  salt: undefined,
  isUnnameable: false,
  tier: "device",
  group: 0,
  groupKind: undefined,
};
const head = "cb 41d9 0000 0000 0000";
// "BlockStored", [uint64 key], nil, [1, 2, 3, 4], 4
const base = "ab 426c6f636b53746f726564 91 cf d657 3a71 ff7a 65fd c0 94 01 02 03 04 04";

describe("golden messages", () => {
  test.each([
    ["SGLang 0.4: five fields, no rank", `92 ${head} 91 95 ${base}`, undefined],
    ["vLLM 0.10: lora_id nil, trailing nil rank", `93 ${head} 91 96 ${base} c0 c0`, undefined],
    ["vLLM: medium GPU, rank 3", `93 ${head} 91 97 ${base} c0 a3 475055 03`, 3],
    ["vLLM: lora_name nil", `93 ${head} 91 98 ${base} c0 a3 475055 c0 00`, 0],
    ["vLLM: extra_keys and group_idx", `93 ${head} 91 9a ${base} c0 a3 475055 c0 91 c0 00 c0`, undefined],
  ] as const)("%s", (_name, bytes, rank) => {
    const bytesOfKey = Buffer.alloc(8);
    bytesOfKey.writeBigUInt64BE(key);
    const batch = decodeBatch(hex(bytes.replace("d657 3a71 ff7a 65fd", bytesOfKey.toString("hex"))));
    expect(batch).toEqual({ events: [stored], rank });
  });
});

const batch = (...events: unknown[]): ReturnType<typeof decodeBatch>["events"] =>
  decodeBatch(encode([1.5, events, null], { useBigInt64: true })).events;

describe("forms of one event", () => {
  const fields = {
    block_hashes: [key],
    parent_block_hash: null,
    token_ids: [1, 2, 3, 4],
    block_size: 4,
    lora_id: null,
  };
  test("maps inside of an array, and maps inside of a map", () => {
    expect(batch({ type: "BlockStored", ...fields, medium: "CPU", locality: "LOCAL" })).toEqual([
      { ...stored, tier: "host" },
    ]);
    const outer = { ts: 1, events: [{ type: "BlockStored", ...fields }], data_parallel_rank: 2 };
    expect(decodeBatch(encode(outer, { useBigInt64: true }))).toEqual({ events: [stored], rank: 2 });
  });

  test("keys as bytes are the last eight of them, as the integer form is", () => {
    const digest = new Uint8Array(32).fill(7);
    new DataView(digest.buffer).setBigUint64(24, key);
    expect(batch({ type: "BlockStored", ...fields, block_hashes: [digest] })).toEqual([stored]);
  });

  test("SGLang's signed keys are the same 64 bits", () => {
    expect(batch(["BlockStored", [BigInt.asIntN(64, key)], null, [1, 2, 3, 4], 4, null])).toEqual([stored]);
  });

  test("adapters by name or id; a salt in the first block; media cannot be named", () => {
    const of = (over: object): unknown => batch({ type: "BlockStored", ...fields, ...over })[0];
    expect(of({ lora_name: "sql", extra_keys: [["sql"]] })).toMatchObject({
      adapter: "sql",
      isUnnameable: false,
    });
    expect(of({ lora_id: 7 })).toMatchObject({ adapter: "7" });
    expect(of({ extra_keys: [["tenant"]] })).toMatchObject({ salt: "tenant", isUnnameable: false });
    expect(of({ extra_keys: [[["image", 0], "tenant"]] })).toMatchObject({ isUnnameable: true });
    expect(of({ metadata: { cache_salt: "tenant" } })).toMatchObject({ salt: "tenant" });
    const interim = ["BlockStored", [key], null, [1, 2, 3, 4], 4, null, "GPU", { cache_salt: "tenant" }];
    expect(batch(interim)).toMatchObject([{ salt: "tenant", adapter: undefined }]);
  });

  test("removals, clears, and kinds that are not known", () => {
    expect(
      batch(
        ["BlockRemoved", [key]],
        { type: "BlockRemoved", block_hashes: [key], medium: "STORAGE" },
        ["AllBlocksCleared"],
        ["SomethingNew", 1],
      ),
    ).toEqual([
      { type: "removed", keys: [key], tier: "device", group: 0 },
      { type: "removed", keys: [key], tier: "shared", group: 0 },
      { type: "cleared" },
    ]);
  });
});
