import type { StridedPieces } from "../agent/descriptors.ts";
import { loadTransferAddon, type TransferAddon } from "../native/transfer-addon.ts";
import { transferError } from "../transfer-error.ts";
import { assertCompatible, type KvGeometry, type KvStrides, kvStrides } from "./kv-geometry.ts";

export interface RegroupOptions {
  /** All ranks that hold the prompt's KV: every stage and every tensor-parallel rank that serves. */
  readonly sources: readonly KvGeometry[];
  readonly target: KvGeometry;
  /** Tokens to move, from the first. */
  readonly tokens: number;
  /** Block ids of those tokens at the sources (the same at each) and at the target. */
  readonly sourceBlocks: Uint32Array;
  readonly targetBlocks: Uint32Array;
  /** Tokens at the front that the target has already. Default 0. */
  readonly skipTokens?: number;
}

/** What one source rank sends: equally long lists of pieces, ready for `describe`. */
export interface RegroupPart {
  /** Index in `sources`. */
  readonly source: number;
  readonly sourcePieces: readonly StridedPieces[];
  readonly targetPieces: readonly StridedPieces[];
  readonly bytes: number;
}

/**
 * Which bytes go where when prefill and decode differ in tensor or pipeline parallelism, block size or order of axes. Each byte of the target's share is
 * named exactly once. Heads that several source ranks hold (fewer heads than ranks, or MLA) are read from one of them, another for each target rank.
 *
 * @throws TransferError TRANSFER_INCOMPATIBLE, TRANSFER_OPTION_INVALID
 */
export function planRegroup(options: RegroupOptions): readonly RegroupPart[] {
  const { sources, target, tokens, sourceBlocks, targetBlocks, skipTokens = 0 } = options;
  const to = kvStrides(target);
  const from = sources.map((source) => {
    assertCompatible(source.model, target.model);
    return kvStrides(source);
  });
  const needBlocks = (name: string, blocks: Uint32Array, geometry: KvGeometry): void => {
    if (blocks.length * geometry.blockTokens < tokens)
      throw transferError(
        "TRANSFER_OPTION_INVALID",
        `${name} holds ${blocks.length * geometry.blockTokens} tokens of the ${tokens} to move.`,
      );
    for (const block of blocks)
      if (block >= geometry.blocks)
        throw transferError("TRANSFER_OUT_OF_BOUNDS", `${name} names block ${block} of ${geometry.blocks}.`, {
          block,
        });
  };
  needBlocks("targetBlocks", targetBlocks, target);
  for (const source of sources) needBlocks("sourceBlocks", sourceBlocks, source);
  const parts = sources.map((_, source) => ({
    source,
    sourcePieces: [] as StridedPieces[],
    targetPieces: [] as StridedPieces[],
    bytes: 0,
  }));
  const spread = target.tensorParallel.rank;
  for (let layer = to.firstLayer; layer < to.firstLayer + to.layers; layer += 1) {
    // Runs of heads that one source can give for this layer.
    for (let head = to.firstHead; head < to.firstHead + to.heads;) {
      const holders = sources.flatMap((_, i) => (holds(from[i] as KvStrides, layer, head) ? [i] : []));
      const chosen = holders[spread % Math.max(1, holders.length)];
      if (chosen === undefined)
        throw transferError(
          "TRANSFER_OPTION_INVALID",
          `No source holds layer ${layer}, KV head ${head}: pass every rank that does.`,
          { layer, head },
        );
      const strides = from[chosen] as KvStrides;
      const heads = Math.min(strides.firstHead + strides.heads, to.firstHead + to.heads) - head;
      const part = parts[chosen] as (typeof parts)[number];
      for (let kind = 0; kind < target.model.kinds; kind += 1)
        for (let token = skipTokens; token < tokens;) {
          const source = sources[chosen] as KvGeometry;
          const sourceAt = token % source.blockTokens;
          const targetAt = token % target.blockTokens;
          const count = Math.min(
            source.blockTokens - sourceAt,
            target.blockTokens - targetAt,
            tokens - token,
          );
          addSegment(
            part,
            {
              strides,
              block: sourceBlocks[Math.floor(token / source.blockTokens)] as number,
              layer: layer - strides.firstLayer,
              kind,
              token: sourceAt,
              head: head - strides.firstHead,
            },
            {
              strides: to,
              block: targetBlocks[Math.floor(token / target.blockTokens)] as number,
              layer: layer - to.firstLayer,
              kind,
              token: targetAt,
              head: head - to.firstHead,
            },
            count,
            heads,
            target.model.vectorBytes,
          );
          token += count;
        }
      head += heads;
    }
  }
  return parts.filter((part) => part.bytes > 0);
}

const holds = (strides: KvStrides, layer: number, head: number): boolean =>
  layer >= strides.firstLayer &&
  layer < strides.firstLayer + strides.layers &&
  head >= strides.firstHead &&
  head < strides.firstHead + strides.heads;

interface Corner {
  readonly strides: KvStrides;
  readonly block: number;
  readonly layer: number;
  readonly kind: number;
  readonly token: number;
  readonly head: number;
}

const offsetOf = ({ strides: { stride }, block, layer, kind, token, head }: Corner): number =>
  block * stride.block +
  layer * stride.layer +
  kind * stride.kind +
  token * stride.token +
  head * stride.head;

/** The rectangle of `tokens` by `heads` vectors, in as few strided runs as both orders allow. */
function addSegment(
  part: { sourcePieces: StridedPieces[]; targetPieces: StridedPieces[]; bytes: number },
  source: Corner,
  target: Corner,
  tokens: number,
  heads: number,
  vectorBytes: number,
): void {
  const a = source.strides.stride;
  const b = target.strides.stride;
  const s = offsetOf(source);
  const t = offsetOf(target);
  part.bytes += tokens * heads * vectorBytes;
  const add = (
    sourceOffset: number,
    targetOffset: number,
    bytes: number,
    sourceStride: number,
    targetStride: number,
    count: number,
  ): void => {
    part.sourcePieces.push({ offset: sourceOffset, bytes, stride: sourceStride, count });
    part.targetPieces.push({ offset: targetOffset, bytes, stride: targetStride, count });
  };
  const areHeadsDense = heads === 1 || (a.head === vectorBytes && b.head === vectorBytes);
  const areTokensDense = tokens === 1 || (a.token === vectorBytes && b.token === vectorBytes);
  if (areHeadsDense) add(s, t, heads * vectorBytes, a.token, b.token, tokens);
  else if (areTokensDense) add(s, t, tokens * vectorBytes, a.head, b.head, heads);
  else
    for (let head = 0; head < heads; head += 1)
      add(s + head * a.head, t + head * b.head, vectorBytes, a.token, b.token, tokens);
}

/** From here on the addon's loop is worth making its tables. */
const nativeBytes = 65_536;

/** Carries a part out between two buffers of this process: by the addon where it is there, which CPU engines notice, else by TypeScript. */
export function applyRegroup(part: RegroupPart, source: Uint8Array, target: Uint8Array): void {
  const native = part.bytes < nativeBytes ? undefined : loadTransferAddon();
  if (native?.isAvailable === true) regroupNatively(native.addon, part, source, target);
  else regroupPlainly(part, source, target);
}

/** Host reference kernel in C++. */
export function regroupNatively(
  addon: TransferAddon,
  { sourcePieces, targetPieces }: RegroupPart,
  source: Uint8Array,
  target: Uint8Array,
): void {
  const runs = sourcePieces.length;
  const none = new Uint32Array(runs);
  addon.memcpyRuns(
    {
      runs,
      localRegion: none,
      localOffset: Float64Array.from(targetPieces, (piece) => piece.offset),
      localStride: Float64Array.from(targetPieces, (piece) => piece.stride),
      remoteRegion: none,
      remoteOffset: Float64Array.from(sourcePieces, (piece) => piece.offset),
      remoteStride: Float64Array.from(sourcePieces, (piece) => piece.stride),
      pieceBytes: Float64Array.from(sourcePieces, (piece) => piece.bytes),
      pieces: Uint32Array.from(sourcePieces, (piece) => piece.count),
    },
    [target],
    [source],
  );
}

/** Host reference kernel in TypeScript; with the one in C++ the oracle for kernels on GPUs. */
export function regroupPlainly(part: RegroupPart, source: Uint8Array, target: Uint8Array): void {
  part.sourcePieces.forEach((from, i) => {
    const to = part.targetPieces[i] as StridedPieces;
    for (let k = 0; k < from.count; k += 1) {
      const at = from.offset + k * from.stride;
      target.set(source.subarray(at, at + from.bytes), to.offset + k * to.stride);
    }
  });
}
