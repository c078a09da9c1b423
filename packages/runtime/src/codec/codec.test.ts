import type { GenerateRequest, KvEvent, KvEventBatch, ModelCard, Worker } from "@stator/core";
import { StatorError } from "@stator/core";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorInfoSchema, KvEventBatchSchema, ModelCardSchema, WorkerSchema } from "@stator/contracts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { cardFromWire, cardToWire } from "./card-codec.ts";
import { errorFromWire, errorToWire } from "./error-codec.ts";
import { batchToWire, createBatchAssembler } from "./kv-event-codec.ts";
import { decodeRequest, encodeRequest } from "./request-codec.ts";
import { workerFromWire, workerToWire } from "./worker-codec.ts";

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => (Object.is(x, -0) ? 0 : x));
const words = fc.array(u32, { maxLength: 50 }).map((ids) => Uint32Array.from(ids));
const names = fc.array(u64, { maxLength: 20 }).map((hashes) => BigUint64Array.from(hashes));
const bytes = fc.uint8Array({ maxLength: 50 }).map((each) => Uint8Array.from(each));
const text = fc.string({ unit: "grapheme", maxLength: 20 });
// Maps of messages are plain objects, which cannot have this key.
const labelName = text.filter((name) => name !== "__proto__");
const labels = fc.dictionary(labelName, text, { maxKeys: 3, noNullPrototype: true });

/** Every optional key present or absent, never present and undefined. */
function partly<T extends Record<string, unknown>>(
  required: { [K in keyof T]: fc.Arbitrary<T[K]> },
  optional: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<T> {
  return fc.record(
    { ...required, ...optional },
    { requiredKeys: Object.keys(required), noNullPrototype: true },
  ) as fc.Arbitrary<T>;
}

const handoff = partly(
  {
    connector: text,
    style: fc.constantFrom("sequential", "rendezvous", "addressed"),
    opaque: bytes,
    heldTokens: u32,
    firstIds: fc.array(u32, { maxLength: 3 }),
    firstEmittedBy: fc.constantFrom("prefill", "decode", "nobody"),
    compatibilityDigest: text,
  },
  {
    room: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    source: fc.record({ worker: text, epoch: text, rank: u32 }, { noNullPrototype: true }),
    lease: fc.record({ id: text, durationMs: u32 }, { noNullPrototype: true }),
  },
);

const request = partly(
  {
    id: text,
    model: text,
    attempt: u32,
    choice: u32,
    promptIds: words,
    outputIds: words,
    sampling: partly(
      {
        temperature: number,
        topP: number,
        topK: u32,
        minP: number,
        seed: u64,
        presencePenalty: number,
        frequencyPenalty: number,
        repetitionPenalty: number,
      },
      {
        logitBias: fc
          .uniqueArray(u32, { minLength: 1, maxLength: 4 })
          .map((ids) => new Map(ids.map((id) => [id, id / 8]))),
      },
    ),
    limits: partly(
      { maxTokens: u32 },
      { minTokens: u32, stopIds: fc.array(u32, { minLength: 1, maxLength: 3 }), ignoreEos: fc.boolean() },
    ),
    mode: fc.constantFrom("full", "prefill"),
    avoid: fc.array(fc.record({ worker: text, epoch: text }, { noNullPrototype: true }), { maxLength: 3 }),
  },
  {
    handoff,
    topLogprobs: u32,
    adapter: text,
    tenantSalt: text,
    priority: fc.integer({ min: -100, max: 100 }),
    grammar: fc.record(
      { kind: fc.constantFrom("jsonSchema", "regex", "ebnf"), source: text },
      { noNullPrototype: true },
    ),
    media: fc.array(
      fc.record(
        {
          kind: fc.constantFrom("image", "audio", "video"),
          url: text,
          hash: u64,
          offsetTokens: u32,
          lengthTokens: u32,
        },
        { noNullPrototype: true },
      ),
      { minLength: 1, maxLength: 2 },
    ),
    hints: partly(
      {},
      {
        expectedOutputTokens: u32,
        sessionId: text,
        requireLabels: fc.dictionary(labelName, text, { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
        pin: partly({ worker: text }, { rank: u32 }),
      },
    ),
    traceparent: text,
  },
) as unknown as fc.Arbitrary<GenerateRequest>;

test("every request comes back as it went", () => {
  fc.assert(
    fc.property(request, (each) => {
      expect(decodeRequest(encodeRequest(each))).toEqual(each);
    }),
    { numRuns: 300 },
  );
});

const event = fc.oneof(
  partly(
    {
      type: fc.constant("stored"),
      sequenceHashes: names,
      tier: fc.constantFrom("device", "host", "disk", "shared"),
      rank: u32,
    },
    { parent: u64, engineKeys: names.filter(({ length }) => length > 0), engineParent: u64, group: u32 },
  ),
  partly(
    {
      type: fc.constant("removed"),
      sequenceHashes: names,
      tier: fc.constantFrom("device", "host"),
      rank: u32,
    },
    { group: u32 },
  ),
  fc.record({ type: fc.constant("cleared"), rank: u32 }, { noNullPrototype: true }),
) as unknown as fc.Arbitrary<KvEvent>;

test("every batch of KV events comes back as it went, in messages below their bound", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 30 }), u64, fc.boolean(), (events, sequence, isSnapshot) => {
      const batch: KvEventBatch = {
        worker: "w",
        epoch: "e",
        sequence,
        events,
        ...(isSnapshot ? { isSnapshot } : {}),
      };
      const assembler = createBatchAssembler({ worker: "x", epoch: "y" });
      const messages = [...batchToWire(batch, 80 * 1024)].map((wire) => toBinary(KvEventBatchSchema, wire));
      const back = messages.map((message) => assembler.add(fromBinary(KvEventBatchSchema, message)));
      expect(back.at(-1)).toEqual(batch);
    }),
  );
});

test("a chain of a million blocks is cut into messages, and each piece names its parent", () => {
  const sequenceHashes = BigUint64Array.from({ length: 1_000_000 }, (_, i) => BigInt(i + 1));
  const batch: KvEventBatch = {
    worker: "w",
    epoch: "e",
    sequence: 1n,
    events: [{ type: "stored", parent: 9n, sequenceHashes, tier: "device", rank: 0 }],
  };
  const assembler = createBatchAssembler({ worker: "x", epoch: "y" });
  let back: KvEventBatch | undefined;
  for (const wire of batchToWire(batch, 80 * 1024)) {
    const message = toBinary(KvEventBatchSchema, wire);
    expect(message.length).toBeLessThanOrEqual(80 * 1024 + 256);
    back = assembler.add(fromBinary(KvEventBatchSchema, message));
  }
  let parent = 9n;
  let blocks = 0;
  for (const piece of back?.events ?? []) {
    if (piece.type !== "stored") throw new Error(piece.type);
    expect(piece.parent).toBe(parent);
    parent = piece.sequenceHashes.at(-1)!;
    blocks += piece.sequenceHashes.length;
  }
  expect(blocks).toBe(1_000_000);
});

test("a batch of which a message was lost is no batch, whatever follows", () => {
  const batchOf = (sequence: bigint): KvEventBatch => ({
    worker: "w",
    epoch: "e",
    sequence,
    events: Array.from({ length: 30 }, (_, i) => ({
      type: "removed",
      sequenceHashes: BigUint64Array.of(sequence * 100n + BigInt(i)),
      tier: "device",
      rank: 0,
    })),
  });
  const batches = [1n, 2n, 3n].map(batchOf);
  const messages = batches.flatMap((batch) => [...batchToWire(batch, 800)]);
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: messages.length, maxLength: messages.length }),
      (isLost) => {
        const assembler = createBatchAssembler({ worker: "w", epoch: "e" });
        const arrived = messages.filter((_, i) => !isLost[i]).flatMap((wire) => assembler.add(wire) ?? []);
        for (const batch of arrived)
          expect(batch).toEqual(batches.find(({ sequence }) => sequence === batch.sequence));
      },
    ),
  );
});

test("cards, workers and errors come back as they went", () => {
  const card: ModelCard = {
    model: "m",
    tokenizer: { format: "hf-json", digest: "d" },
    chatTemplate: "{{ x }}",
    specialIds: { bos: 1, eos: [2, 3], unknown: 0, pad: 4 },
    addBos: true,
    generationDefaults: { temperature: 0.7, topK: 20 },
    contextTokens: 4096,
    blockTokens: 16,
    hashScheme: "xxh3-64/1337",
    weightsDigest: "w",
    kvLayoutDigest: "k",
    kvGroups: [{ kind: "full_attention" }, { kind: "sliding_window", windowTokens: 128 }],
    connectors: [
      { name: "nixl", style: "sequential" },
      { name: "room", style: "rendezvous", endpoint: Uint8Array.of(1, 2) },
    ],
    resume: { rng: true, penalties: false, grammar: true, logprobs: false },
    batchInvariant: true,
    tasks: ["chat", "embedding"],
    adapters: ["a"],
    grammars: ["jsonSchema", "regex"],
    contract: { min: 1, max: 3 },
  };
  expect(cardFromWire(fromBinary(ModelCardSchema, toBinary(ModelCardSchema, cardToWire(card))))).toEqual(
    card,
  );
  fc.assert(
    fc.property(labels, (labels) => {
      const worker: Worker = {
        id: "w",
        epoch: "e",
        role: "prefill",
        model: "m",
        capacity: { requests: 4, kvBlocks: 5, queue: 6, prefillTokensPerStep: 7 },
        ranks: 8,
        failureGroup: "rack",
        labels,
      };
      expect(workerFromWire(fromBinary(WorkerSchema, toBinary(WorkerSchema, workerToWire(worker))))).toEqual(
        worker,
      );
    }),
  );
  const error = new StatorError({
    code: "X",
    kind: "overloaded",
    message: "busy",
    data: { retryAfterMs: 5 },
  });
  const back = errorFromWire(fromBinary(ErrorInfoSchema, toBinary(ErrorInfoSchema, errorToWire(error))));
  expect(back).toMatchObject({ code: "X", kind: "overloaded", message: "busy", data: { retryAfterMs: 5 } });
});
