import { create, toBinary } from "@bufbuild/protobuf";
import {
  FailedSchema,
  FinishReason,
  OutputDetailSchema,
  StepFrameSchema,
  type ErrorInfo,
  type Failed,
  type OutputDetail,
  type StepFrame,
} from "@stator/contracts";
import type { Finish, TokenBatch, TokenLogprob } from "@stator/core";
import { handoffToWire } from "../../codec/handoff-codec.ts";
import { given, names, type Names } from "../../codec/names.ts";
import { bytesOfU32 } from "../../codec/words.ts";
import { pieceBytes } from "../limits.ts";

export const finishReasons: Names<Finish["reason"], FinishReason> = names<Finish["reason"], FinishReason>({
  stop: FinishReason.STOP,
  length: FinishReason.LENGTH,
  abort: FinishReason.ABORT,
});

// Together below the frame's 256 KiB: 48 KiB of row columns, 32 KiB of ids, 112 KiB of details; the rest is for events.
const maxRows = 4096;
const maxIds = 8192;
const fullDetailBytes = 48 * 1024;

/** Collects what all requests of a caller yield until the next frame is due. */
export interface FrameBuilder {
  readonly isEmpty: boolean;
  /** The producers should wait until `take`. */
  readonly isFull: boolean;
  /**
   * Adds ids of a batch from `offset` on, and once its last id is in, what else it says. Not to be called while full.
   *
   * @returns how many of the batch's ids are in now; call again for the rest.
   */
  add(handle: number, batch: TokenBatch, offset: number): number;
  fail(handle: number, error: ErrorInfo): void;
  /** The frame so far and about how many bytes it has; the builder is empty then. */
  take(): { readonly frame: StepFrame; readonly bytes: number };
}

/** @param keep puts a detail above 64 KiB aside for the bulk service and gives its number; without it all stay in. */
export function createFrameBuilder(keep?: (detail: Uint8Array) => bigint): FrameBuilder {
  const handles = new Uint32Array(maxRows);
  const firstIndexes = new Uint32Array(maxRows);
  const counts = new Uint32Array(maxRows);
  const ids = new Uint32Array(maxIds);
  let rows = 0;
  let idCount = 0;
  let hasSingles = true;
  let details: OutputDetail[] = [];
  let failed: Failed[] = [];
  let detailBytes = 0;

  const addDetail = (
    row: number,
    batch: TokenBatch,
    logprobs: readonly TokenLogprob[] | undefined,
    isLast: boolean,
  ): void => {
    const handoff = isLast ? batch.handoff : undefined;
    let bytes = 32;
    for (const { top } of logprobs ?? []) bytes += 12 + 13 * top.length;
    if (handoff !== undefined) bytes += 512 + handoff.opaque.length + 5 * handoff.firstIds.length;
    const detail = create(OutputDetailSchema, {
      row,
      ...given("logprobs", logprobs && logprobsToWire(logprobs)),
      ...given("handoff", handoff && handoffToWire(handoff)),
      ...given("cachedTokens", isLast ? batch.cachedTokens : undefined),
      ...given("finish", isLast && batch.finish ? finishToWire(batch.finish) : undefined),
    });
    if (keep === undefined || bytes <= pieceBytes) {
      details.push(detail);
      detailBytes += bytes;
    } else {
      details.push(create(OutputDetailSchema, { row, bulk: keep(toBinary(OutputDetailSchema, detail)) }));
      detailBytes += 32;
    }
  };

  return {
    get isEmpty() {
      return rows === 0 && failed.length === 0;
    },
    get isFull() {
      return rows >= maxRows || idCount >= maxIds || detailBytes >= fullDetailBytes;
    },
    add(handle, batch, offset) {
      const { logprobs } = batch;
      const total = batch.ids.length;
      let end = Math.min(total, offset + maxIds - idCount);
      if (logprobs !== undefined) {
        let bytes = 0;
        for (let i = offset; i < end; i++) {
          bytes += 12 + 13 * (logprobs[i]?.top.length ?? 0);
          if (bytes > pieceBytes / 2) end = i + 1;
        }
      }
      const row = rows++;
      handles[row] = handle;
      firstIndexes[row] = batch.firstIndex + offset;
      counts[row] = end - offset;
      if (end - offset !== 1) hasSingles = false;
      for (let i = offset; i < end; i++) ids[idCount++] = batch.ids[i]!;
      const isLast = end === total;
      const isDetailed =
        logprobs !== undefined ||
        (isLast &&
          (batch.finish !== undefined || batch.handoff !== undefined || batch.cachedTokens !== undefined));
      if (isDetailed) addDetail(row, batch, logprobs?.slice(offset, end), isLast);
      return end;
    },
    fail(handle, error) {
      failed.push(create(FailedSchema, { handle, error }));
      detailBytes += 64 + 3 * (error.message.length + error.dataJson.length);
    },
    take() {
      const frame = create(StepFrameSchema, { details, failed });
      if (rows > 0) {
        // Copies: others add before this frame is on the wire.
        frame.outputs = {
          $typeName: "stator.v1.Outputs",
          handles: bytesOfU32(handles.slice(0, rows)),
          firstIndexes: bytesOfU32(firstIndexes.slice(0, rows)),
          counts: hasSingles ? new Uint8Array(0) : bytesOfU32(counts.slice(0, rows)),
          ids: bytesOfU32(ids.slice(0, idCount)),
        };
      }
      const bytes = rows * 12 + idCount * 4 + detailBytes + 128;
      rows = 0;
      idCount = 0;
      hasSingles = true;
      details = [];
      failed = [];
      detailBytes = 0;
      return { frame, bytes };
    },
  };
}

function finishToWire(finish: Finish) {
  return { reason: finishReasons.number(finish.reason), ...given("stopId", finish.stopId) };
}

function logprobsToWire(logprobs: readonly TokenLogprob[]) {
  return {
    logprobs: logprobs.map(({ logprob }) => logprob),
    topCounts: logprobs.map(({ top }) => top.length),
    topIds: logprobs.flatMap(({ top }) => top.map(({ id }) => id)),
    topLogprobs: logprobs.flatMap(({ top }) => top.map(({ logprob }) => logprob)),
  };
}
