import { createHash } from "node:crypto";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { StepFrameSchema } from "@stator/contracts";
import { StatorError, type Handoff, type TokenBatch, type TokenLogprob } from "@stator/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { errorToWire } from "../../codec/error-codec.ts";
import { decodeDetail } from "./engine-host.ts";
import { createFrameBuilder } from "./frame-builder.ts";
import { detailFromWire, readRows } from "../caller/frame-reader.ts";
import { frameBytes } from "../limits.ts";

interface Read {
  ids: number[];
  firstIndex: number;
  logprobs: TokenLogprob[];
  handoff: Handoff | undefined;
  cachedTokens: number | undefined;
  finish: unknown;
}

/** Sends batches through frames as a session does, and puts them together again. */
function throughFrames(batches: readonly { handle: number; batch: TokenBatch }[]): {
  frames: number[];
  read: Map<number, Read>;
} {
  const kept = new Map<bigint, Uint8Array>();
  const builder = createFrameBuilder((bytes) => {
    const id = BigInt(kept.size + 1);
    kept.set(id, bytes);
    return id;
  });
  const frames: number[] = [];
  const read = new Map<number, Read>();
  const flush = (): void => {
    const bytes = toBinary(StepFrameSchema, builder.take().frame);
    frames.push(bytes.length);
    const frame = fromBinary(StepFrameSchema, bytes);
    if (frame.outputs === undefined) return;
    readRows(frame.outputs, frame.details, (handle, firstIndex, ids, wire) => {
      const empty: Read = {
        ids: [],
        firstIndex,
        logprobs: [],
        handoff: undefined,
        cachedTokens: undefined,
        finish: undefined,
      };
      const all = read.get(handle) ?? empty;
      read.set(handle, all);
      expect(firstIndex).toBe(all.firstIndex + all.ids.length);
      all.ids.push(...ids);
      if (wire === undefined) return;
      const detail = detailFromWire(wire.bulk === undefined ? wire : decodeDetail(kept.get(wire.bulk)!));
      all.logprobs.push(...(detail.logprobs ?? []));
      all.handoff ??= detail.handoff;
      all.cachedTokens ??= detail.cachedTokens;
      all.finish ??= detail.finish;
    });
  };
  for (const { handle, batch } of batches) {
    let offset = 0;
    do {
      if (builder.isFull) flush();
      offset = builder.add(handle, batch, offset);
    } while (offset < batch.ids.length);
  }
  flush();
  return { frames, read };
}

const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const logprob = fc.record({
  logprob: fc.double({ max: 0, noNaN: true }),
  top: fc.array(fc.record({ id, logprob: fc.double({ max: 0, noNaN: true }) }), { maxLength: 20 }),
});

test("whatever requests yield arrives unchanged, in frames of at most 256 KiB", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          repeat: fc.constantFrom(1, 1, 7, 500),
          ids: fc.array(id, { maxLength: 30 }),
          withLogprobs: fc.boolean(),
          top: logprob,
          opaqueBytes: fc.constantFrom(0, 10, 40_000, 200_000),
          cachedTokens: fc.option(fc.integer({ min: 0, max: 1e6 }), { nil: undefined }),
          stopId: fc.option(id, { nil: undefined }),
        }),
        { maxLength: 15 },
      ),
      (specs) => {
        const batches = specs.map((spec, handle) => {
          const ids = Array.from({ length: spec.repeat }, () => spec.ids).flat();
          const batch: TokenBatch = {
            firstIndex: handle,
            ids,
            ...(spec.withLogprobs ? { logprobs: ids.map(() => spec.top) } : {}),
            ...(spec.opaqueBytes === 0 ? {} : { handoff: handoffOf(spec.opaqueBytes) }),
            ...(spec.cachedTokens === undefined ? {} : { cachedTokens: spec.cachedTokens }),
            ...(spec.stopId === undefined
              ? {}
              : { finish: { reason: "stop" as const, stopId: spec.stopId } }),
          };
          return { handle, batch };
        });
        const { frames, read } = throughFrames(batches);
        for (const bytes of frames) expect(bytes).toBeLessThanOrEqual(frameBytes);
        for (const { handle, batch } of batches) {
          const got = read.get(handle);
          expect(String(got?.ids)).toBe(String(batch.ids));
          expect(JSON.stringify(got?.logprobs)).toBe(JSON.stringify(batch.logprobs ?? []));
          expect(got?.handoff && { ...got.handoff, opaque: hash(got.handoff.opaque) }).toEqual(
            batch.handoff && { ...batch.handoff, opaque: hash(batch.handoff.opaque) },
          );
          expect(got?.cachedTokens).toEqual(batch.cachedTokens);
          expect(got?.finish).toEqual(batch.finish);
        }
      },
    ),
    { numRuns: 30 },
  );
});

test("a frame full of failures and of rows stays within 256 KiB", () => {
  const builder = createFrameBuilder(() => 1n);
  const error = errorToWire(new StatorError({ code: "X", kind: "internal", message: "é".repeat(10_000) }));
  while (!builder.isFull) builder.fail(1, error);
  expect(toBinary(StepFrameSchema, builder.take().frame).length).toBeLessThanOrEqual(frameBytes);
  while (!builder.isFull) builder.add(4_000_000_000, { firstIndex: 4_000_000_000, ids: [4_000_000_000] }, 0);
  expect(toBinary(StepFrameSchema, builder.take().frame).length).toBeLessThanOrEqual(frameBytes);
});

const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function handoffOf(bytes: number): Handoff {
  return {
    connector: "blocks",
    style: "sequential",
    opaque: new Uint8Array(bytes).fill(7),
    source: { worker: "w", epoch: "e", rank: 1 },
    heldTokens: 12,
    firstIds: [1, 2],
    firstEmittedBy: "decode",
    compatibilityDigest: "k",
    lease: { id: "l", durationMs: 10_000 },
  };
}
