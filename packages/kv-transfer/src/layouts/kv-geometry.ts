import { createHash } from "node:crypto";
import { transferError } from "../transfer-error.ts";

/** An axis of a KV cache, outside the vector of one head at one token. `kind` is K and V (one value for MLA). */
export type KvAxis = "block" | "layer" | "kind" | "token" | "head";

/** What two sides must agree on before a byte moves; which ranks, blocks and orders they use may differ. */
export interface KvModel {
  /** Model and weights: KV of other weights is other KV. */
  readonly weightsDigest: string;
  /** As the engine names it: `bf16`, `fp8_e4m3`, `fp8_ds_mla`. Never converted silently. */
  readonly dtype: string;
  readonly layers: number;
  /** K and V: 2; MLA's one latent: 1. */
  readonly kinds: 1 | 2;
  /** KV heads of the whole model; 1 for MLA, whose latent every rank holds. */
  readonly kvHeads: number;
  /** Bytes of one head's vector at one token, inline scales included: head size × element size, or 656 for DeepSeek's FP8 MLA. */
  readonly vectorBytes: number;
  /** Where scales lie, for dtypes that have them: in configuration, inside the vector, or none. */
  readonly scales?: "none" | "config" | "inline";
  /** KV group of hybrid models; each group has its own geometry. Default 0. */
  readonly group?: number;
}

/** How one rank stores its share. */
export interface KvGeometry {
  readonly model: KvModel;
  readonly blockTokens: number;
  /** Blocks that the rank's cache holds. */
  readonly blocks: number;
  /** Axes outside in. Examples: vLLM FlashAttention `layer kind block token head`; its HND form `layer kind block head token`; FlashInfer `layer block kind …`; cross-layer and TensorRT-LLM `block layer kind head token`. */
  readonly order: readonly KvAxis[];
  readonly tensorParallel: { readonly size: number; readonly rank: number };
  readonly pipelineParallel?: { readonly size: number; readonly rank: number };
}

/** The shares and strides that follow from a geometry, in bytes. */
export interface KvStrides {
  readonly firstLayer: number;
  readonly layers: number;
  readonly firstHead: number;
  readonly heads: number;
  readonly stride: Readonly<Record<KvAxis, number>>;
  readonly totalBytes: number;
}

const axes: readonly KvAxis[] = ["block", "layer", "kind", "token", "head"];

/** Works out which layers and heads a rank holds and where they lie. Throws TRANSFER_OPTION_INVALID for a geometry that can't be. */
export function kvStrides(geometry: KvGeometry): KvStrides {
  const { model, order, tensorParallel: tp, pipelineParallel: pp = { size: 1, rank: 0 } } = geometry;
  const bad = (what: string): never => {
    throw transferError("TRANSFER_OPTION_INVALID", `KV geometry: ${what}.`);
  };
  if (order.length !== axes.length || axes.some((axis) => !order.includes(axis)))
    bad(`order must name ${axes.join(", ")} once each`);
  for (const [name, { size, rank }] of [
    ["tensorParallel", tp],
    ["pipelineParallel", pp],
  ] as const)
    if (!Number.isInteger(size) || size < 1 || !Number.isInteger(rank) || rank < 0 || rank >= size)
      bad(`${name} has rank ${rank} of ${size}`);
  for (const [name, value] of Object.entries({
    layers: model.layers,
    kvHeads: model.kvHeads,
    vectorBytes: model.vectorBytes,
    blockTokens: geometry.blockTokens,
    blocks: geometry.blocks,
  }))
    if (!Number.isInteger(value) || value < 1) bad(`${name} must be a positive integer`);
  if (model.kvHeads % tp.size !== 0 && tp.size % model.kvHeads !== 0)
    bad(`${model.kvHeads} KV heads can't be shared by ${tp.size} ranks`);
  // Engines give the first stages one layer more where layers don't divide.
  const share = Math.floor(model.layers / pp.size);
  const rest = model.layers % pp.size;
  const layers = share + (pp.rank < rest ? 1 : 0);
  const firstLayer = pp.rank * share + Math.min(pp.rank, rest);
  if (layers === 0) bad(`${model.layers} layers leave stage ${pp.rank} of ${pp.size} without one`);
  const heads = Math.max(1, model.kvHeads / tp.size);
  const firstHead = Math.floor((tp.rank * model.kvHeads) / tp.size);
  const size: Record<KvAxis, number> = {
    block: geometry.blocks,
    layer: layers,
    kind: model.kinds,
    token: geometry.blockTokens,
    head: heads,
  };
  const stride: Record<KvAxis, number> = { block: 0, layer: 0, kind: 0, token: 0, head: 0 };
  let bytes = model.vectorBytes;
  for (const axis of [...order].reverse()) {
    stride[axis] = bytes;
    bytes *= size[axis];
  }
  return { firstLayer, layers, firstHead, heads, stride, totalBytes: bytes };
}

/** SHA-256 over what must be equal on both sides, hex. Compared before anything else is even decoded. */
export function kvCompatibilityHash(model: KvModel): string {
  const fields = [
    "stator-kv-1",
    model.weightsDigest,
    model.dtype,
    model.layers,
    model.kinds,
    model.kvHeads,
    model.vectorBytes,
    model.scales ?? "none",
    model.group ?? 0,
  ];
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex");
}

/** Throws TRANSFER_INCOMPATIBLE, naming the first field that differs. */
export function assertCompatible(source: KvModel, target: KvModel): void {
  if (kvCompatibilityHash(source) === kvCompatibilityHash(target)) return;
  for (const field of [
    "weightsDigest",
    "dtype",
    "layers",
    "kinds",
    "kvHeads",
    "vectorBytes",
    "scales",
    "group",
  ] as const)
    if ((source[field] ?? 0) !== (target[field] ?? 0))
      throw transferError(
        "TRANSFER_INCOMPATIBLE",
        `KV can't move between these caches: ${field} is ${String(source[field])} at the source and ${String(target[field])} at the target.`,
        { field },
      );
  throw transferError("TRANSFER_INCOMPATIBLE", "KV can't move between these caches: their models differ.");
}
