import type { CollectiveName, OperationShape } from "../operations/operation.ts";
import type { MatrixFormat } from "../split/quantization.ts";

/** One row of a measured table in AIConfigurator's column names; numbers as numbers. */
export type TableRow = Readonly<Record<string, string | number | bigint | undefined>>;

/** A measured kernel: what ran and how long it took. */
export interface MeasuredOperation {
  readonly shape: OperationShape;
  readonly ms: number;
}

const formats: Readonly<Record<string, MatrixFormat>> = {
  bfloat16: "bf16",
  float16: "bf16",
  fp8: "fp8",
  fp8_block: "fp8-block",
  int8_wo: "w8a16",
  int4_wo: "w4a16",
  sq: "int8",
  nvfp4: "nvfp4",
  w4a16_mxfp4: "mxfp4",
  w4a8_mxfp4_mxfp8: "mxfp4",
};
const collectives: Readonly<Record<string, CollectiveName>> = {
  all_reduce: "allReduce",
  all_gather: "allGather",
  reduce_scatter: "reduceScatter",
  alltoall: "allToAll",
};

/**
 * What a row of a table of AIConfigurator's or of our collector measured, or undefined where the performance model has no such kernel.
 * The family is told by the columns present, so one reader serves every file of a system.
 */
export function measuredOperation(row: TableRow): MeasuredOperation | undefined {
  const ms = numeric(row["latency"]);
  if (!(ms > 0)) return undefined;
  const shape = shapeOfRow(row);
  return shape && { shape, ms };
}

function shapeOfRow(row: TableRow): OperationShape | undefined {
  const n = (key: string): number => numeric(row[key]);
  const kv = row["kv_cache_dtype"] === "fp8" ? "fp8" : "bf16";
  if (row["gemm_dtype"] !== undefined) {
    const format = formats[String(row["gemm_dtype"])];
    return format && { kind: "matrix", rows: n("m"), columns: n("n"), inner: n("k"), format };
  }
  if (row["moe_dtype"] !== undefined) {
    const format = formats[String(row["moe_dtype"])];
    // Real routing is skewed; the even distribution has rows of its own that would halve the busiest rank.
    if (
      format === undefined ||
      (row["distribution"] !== undefined && row["distribution"] !== "power_law_1.2")
    )
      return undefined;
    return {
      kind: "experts",
      tokens: n("num_tokens"),
      hidden: n("hidden_size"),
      intermediate: n("inter_size"),
      matrices: 3,
      experts: n("num_experts"),
      expertsPerToken: n("topk"),
      expertTensor: n("moe_tp_size"),
      expert: n("moe_ep_size"),
      format,
    };
  }
  if (row["mla_dtype"] !== undefined) {
    const heads = n("num_heads");
    if (String(row["op_name"]).includes("context"))
      return {
        kind: "prefillAttention",
        sequences: n("batch_size"),
        newTokens: n("isl"),
        pastTokens: n("step"),
        heads,
        kvHeads: heads,
        headDim: 192,
        valueHeadDim: 128,
        windowTokens: undefined,
        isLatent: true,
        format: row["mla_dtype"] === "fp8" ? "fp8" : "bf16",
        kvCache: kv,
      };
    return {
      kind: "decodeLatent",
      sequences: n("batch_size"),
      contextTokens: n("isl") + n("step"),
      heads,
      kvRank: 512,
      ropeHeadDim: 64,
      kvCache: kv,
    };
  }
  if (row["bmm_dtype"] !== undefined) {
    if (row["bmm_dtype"] !== "bfloat16") return undefined;
    const isPre = String(row["op_name"]).includes("pre");
    return {
      kind: "headMatrix",
      rows: n("num_tokens"),
      heads: n("num_heads"),
      inner: isPre ? 128 : 512,
      columns: isPre ? 512 : 128,
    };
  }
  if (row["attn_dtype"] !== undefined) {
    const heads = n("num_heads");
    const kvHeads = n("num_key_value_heads") || heads;
    const headDim = n("head_dim");
    const windowTokens = n("window_size") > 0 ? n("window_size") : undefined;
    if (String(row["op_name"]).includes("generation"))
      return {
        kind: "decodeAttention",
        sequences: n("batch_size"),
        contextTokens: n("isl") + n("step"),
        heads,
        kvHeads,
        headDim,
        valueHeadDim: headDim,
        windowTokens,
        kvCache: kv,
      };
    return {
      kind: "prefillAttention",
      sequences: n("batch_size"),
      newTokens: n("isl"),
      pastTokens: n("step"),
      heads,
      kvHeads,
      headDim,
      valueHeadDim: headDim,
      windowTokens,
      isLatent: false,
      format: row["attn_dtype"] === "fp8" ? "fp8" : "bf16",
      kvCache: kv,
    };
  }
  if (row["elementwise_dtype"] !== undefined)
    return { kind: "elementwise", bytes: n("num_bytes"), kernels: n("num_kernels") };
  const dtype = row["allreduce_dtype"] ?? row["nccl_dtype"];
  if (dtype !== undefined) {
    const collective = collectives[String(row["op_name"])];
    if (collective === undefined) return undefined;
    return {
      kind: "collective",
      collective,
      bytes: n("message_size") * (dtype === "int8" ? 1 : 2),
      gpus: n("num_gpus"),
    };
  }
  return undefined;
}

function numeric(value: string | number | bigint | undefined): number {
  return value === undefined ? 0 : Number(value);
}
