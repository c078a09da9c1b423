import type { Logprobs, OutputDetail, Outputs } from "@stator/contracts";
import type { TokenIds, TokenLogprob } from "@stator/core";
import { handoffFromWire } from "../../codec/handoff-codec.ts";
import { given } from "../../codec/names.ts";
import { finishReasons } from "../worker/frame-builder.ts";
import type { RowDetail } from "./remote-stream.ts";

export type RowReader = (
  handle: number,
  firstIndex: number,
  ids: TokenIds,
  detail: OutputDetail | undefined,
) => void;

/** Calls `each` for every row of a frame, in order. */
export function readRows(outputs: Outputs, details: readonly OutputDetail[], each: RowReader): void {
  const handles = viewOf(outputs.handles);
  const firstIndexes = viewOf(outputs.firstIndexes);
  const counts = outputs.counts.length === 0 ? undefined : viewOf(outputs.counts);
  const ids = viewOf(outputs.ids);
  const rows = outputs.handles.length >>> 2;
  let at = 0;
  let nextDetail = 0;
  for (let row = 0; row < rows; row++) {
    const count = counts === undefined ? 1 : counts.getUint32(row * 4, true);
    const rowIds: number[] = count === 1 ? [ids.getUint32(at, true)] : readIds(ids, at, count);
    at += count * 4;
    const detail = details[nextDetail]?.row === row ? details[nextDetail++] : undefined;
    each(handles.getUint32(row * 4, true), firstIndexes.getUint32(row * 4, true), rowIds, detail);
  }
}

export function detailFromWire(wire: OutputDetail): RowDetail {
  return {
    ...given("logprobs", wire.logprobs && logprobsFromWire(wire.logprobs)),
    ...given("handoff", wire.handoff && handoffFromWire(wire.handoff)),
    ...given("cachedTokens", wire.cachedTokens),
    ...given(
      "finish",
      wire.finish && {
        reason: finishReasons.word(wire.finish.reason, "abort"),
        ...given("stopId", wire.finish.stopId),
      },
    ),
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readIds(view: DataView, from: number, count: number): number[] {
  const ids: number[] = [];
  for (let i = 0; i < count; i++) ids.push(view.getUint32(from + i * 4, true));
  return ids;
}

function logprobsFromWire(wire: Logprobs): TokenLogprob[] {
  let at = 0;
  return wire.logprobs.map((logprob, index) => {
    const end = at + (wire.topCounts[index] ?? 0);
    const top: { id: number; logprob: number }[] = [];
    for (; at < end; at++) top.push({ id: wire.topIds[at] ?? 0, logprob: wire.topLogprobs[at] ?? 0 });
    return { logprob, top };
  });
}
