import type { Coefficients, EfficiencyCurve } from "../systems/coefficients.ts";
import type {
  CollectiveShape,
  ExpertsShape,
  MatrixShape,
  OperationShape,
  PrefillAttentionShape,
} from "./operation.ts";
import { coefficientsFor } from "../systems/coefficients-for.ts";
import { activationBytes, peakPerSecond, weightBytes } from "../split/quantization.ts";
import type { SystemSpec } from "../systems/system-spec.ts";

/** Work of one kernel and the least time it could take. */
interface Work {
  readonly operations: number;
  readonly bytes: number;
  /** Peak rate that the operations run at, per second. */
  readonly peakPerSecond: number;
  /** Thread blocks the kernel splits into, for how well it fills the GPU. */
  readonly blocks: number;
}

/** Streaming multiprocessors by compute capability; only their order of magnitude matters. */
function multiprocessors(system: SystemSpec): number {
  if (system.computeCapability >= 100) return 148;
  return system.computeCapability >= 90 ? 132 : system.computeCapability === 89 ? 142 : 108;
}

/** A kernel's time, told apart: what grows with its work, and what an empty one would take. */
export interface KernelTime {
  readonly workMs: number;
  readonly floorMs: number;
}

/** Milliseconds of one kernel by the calibrated roofline. */
export function rooflineMs(
  shape: OperationShape,
  system: SystemSpec,
  coefficients: Coefficients = coefficientsFor(system),
): number {
  const { workMs, floorMs } = rooflineTime(shape, system, coefficients);
  return workMs + floorMs;
}

/** The same, with the launch floor apart: engines differ in how much of it they hide. */
export function rooflineTime(
  shape: OperationShape,
  system: SystemSpec,
  coefficients: Coefficients = coefficientsFor(system),
): KernelTime {
  return kernelTime(shape, system, coefficients);
}

/** A kernel inside a serving engine: the calibrated time with the factors that measured deployments ask for. */
export function servedTime(
  shape: OperationShape,
  system: SystemSpec,
  coefficients: Coefficients = coefficientsFor(system),
): KernelTime {
  const { workMs, floorMs } = kernelTime(shape, system, coefficients);
  const { scale } = coefficients;
  return { workMs: workMs * (scale[workKey(shape)] ?? 1), floorMs: floorMs * (scale[floorKey(shape)] ?? 1) };
}

/** Name under which a kernel's work is scaled to an architecture. */
export function workKey(shape: OperationShape): string {
  return shape.kind === "matrix" || shape.kind === "experts" ? `${shape.kind}:${shape.format}` : shape.kind;
}

/** Name under which a kernel's floor is scaled to an architecture. */
export function floorKey(shape: OperationShape): string {
  if (shape.kind === "matrix" || shape.kind === "experts") return `floor:${shape.kind}:${shape.format}`;
  const isLatent =
    shape.kind === "decodeLatent" ||
    shape.kind === "headMatrix" ||
    (shape.kind === "prefillAttention" && shape.isLatent);
  return isLatent ? "floor:latent" : `floor:${shape.kind}`;
}

function kernelTime(shape: OperationShape, system: SystemSpec, coefficients: Coefficients): KernelTime {
  switch (shape.kind) {
    case "matrix":
      return curveTime(
        matrixWork(shape, system),
        system,
        coefficients.matrix[shape.format],
        coefficients.overlap,
      );
    case "headMatrix": {
      const { rows, heads, inner, columns } = shape;
      return curveTime(
        {
          operations: 2 * rows * heads * inner * columns,
          bytes: 2 * heads * (inner * columns + rows * (inner + columns)),
          peakPerSecond: system.bf16PerSecond,
          blocks: heads * Math.ceil(rows / 64) * Math.ceil(columns / 128),
        },
        system,
        coefficients.headMatrix,
        coefficients.overlap,
      );
    }
    case "prefillAttention":
      return curveTime(
        prefillAttentionWork(shape, system),
        system,
        shape.isLatent ? coefficients.prefillLatent : coefficients.prefillAttention,
        coefficients.overlap,
      );
    case "decodeAttention": {
      const seen = Math.min(shape.contextTokens, shape.windowTokens ?? Infinity);
      const width = shape.kvCache === "fp8" ? 1 : 2;
      const { sequences, heads, kvHeads } = shape;
      const headDims = shape.headDim + shape.valueHeadDim;
      return curveTime(
        {
          operations: 2 * sequences * heads * headDims * seen,
          bytes: sequences * headDims * (2 * heads + kvHeads * seen * width),
          peakPerSecond: system.bf16PerSecond,
          blocks: sequences * kvHeads * Math.ceil(seen / 256),
        },
        system,
        coefficients.decodeAttention,
        coefficients.overlap,
      );
    }
    case "decodeLatent": {
      const { sequences, contextTokens, heads, kvRank, ropeHeadDim } = shape;
      const width = shape.kvCache === "fp8" ? 1 : 2;
      return curveTime(
        {
          operations: 2 * sequences * heads * (2 * kvRank + ropeHeadDim) * contextTokens,
          bytes:
            sequences *
            (heads * (2 * kvRank + ropeHeadDim) * 2 + contextTokens * (kvRank + ropeHeadDim) * width),
          peakPerSecond: system.bf16PerSecond,
          blocks: sequences * Math.ceil(heads / 64) * Math.ceil(contextTokens / 256),
        },
        system,
        coefficients.decodeLatent,
        coefficients.overlap,
      );
    }
    case "linearAttention": {
      const state = shape.heads * shape.keyHeadDim * shape.valueHeadDim;
      // Chunked delta rule with chunks of 64 tokens; the state is kept in 32 bits.
      const operations =
        shape.prefillTokens *
          shape.heads *
          (6 * shape.keyHeadDim * shape.valueHeadDim + 4 * 64 * (shape.keyHeadDim + shape.valueHeadDim)) +
        shape.decodeSequences * 8 * state;
      const bytes =
        shape.decodeSequences * state * 8 +
        shape.prefillTokens * shape.heads * (2 * shape.keyHeadDim + 3 * shape.valueHeadDim) * 2;
      return curveTime(
        {
          operations,
          bytes,
          peakPerSecond: system.bf16PerSecond,
          blocks: (shape.decodeSequences + Math.ceil(shape.prefillTokens / 64)) * shape.heads,
        },
        system,
        coefficients.linearAttention,
        coefficients.overlap,
      );
    }
    case "experts":
      return expertsTime(shape, system, coefficients);
    case "collective":
      return collectiveTime(shape, system, coefficients);
    case "elementwise":
      return {
        floorMs: shape.kernels * coefficients.elementwise.floorUs * 1e-3,
        workMs: (shape.bytes / (system.memoryBytesPerSecond * coefficients.elementwise.memory)) * 1e3,
      };
  }
}

function curveTime(work: Work, system: SystemSpec, curve: EfficiencyCurve, overlap: number): KernelTime {
  if (work.operations === 0 && work.bytes === 0) return { workMs: 0, floorMs: 0 };
  const fill = work.blocks / (work.blocks + multiprocessors(system) * curve.halfWave);
  const compute = work.operations / (work.peakPerSecond * curve.compute * fill);
  const memory = work.bytes / (system.memoryBytesPerSecond * curve.memory);
  return {
    floorMs: curve.floorUs * 1e-3,
    workMs: (compute ** overlap + memory ** overlap) ** (1 / overlap) * 1e3,
  };
}

function matrixWork({ rows, columns, inner, format }: MatrixShape, system: SystemSpec): Work {
  const activation = activationBytes(format);
  return {
    operations: 2 * rows * columns * inner,
    bytes: weightBytes[format] * columns * inner + activation * rows * inner + 2 * rows * columns,
    peakPerSecond: peakPerSecond(system, format),
    blocks: Math.ceil(rows / 128) * Math.ceil(columns / 128),
  };
}

/** Query-key pairs that causal attention scores for one sequence. */
function scoredPairs(newTokens: number, pastTokens: number, windowTokens: number | undefined): number {
  const full = (until: number): number => {
    if (windowTokens === undefined || until <= windowTokens) return (until * until) / 2;
    return (windowTokens * windowTokens) / 2 + (until - windowTokens) * windowTokens;
  };
  return full(newTokens + pastTokens) - full(pastTokens);
}

function prefillAttentionWork(shape: PrefillAttentionShape, system: SystemSpec): Work {
  const { sequences, newTokens, pastTokens, heads, kvHeads, headDim, valueHeadDim, windowTokens } = shape;
  const pairs = scoredPairs(newTokens, pastTokens, windowTokens);
  const width = shape.kvCache === "fp8" ? 1 : 2;
  return {
    operations: 2 * sequences * heads * (headDim + valueHeadDim) * pairs,
    bytes:
      sequences *
      (newTokens * heads * (headDim + valueHeadDim) * 2 +
        (newTokens + pastTokens) * kvHeads * (headDim + valueHeadDim) * width),
    peakPerSecond:
      shape.format === "fp8" ? (system.fp8PerSecond ?? system.bf16PerSecond) : system.bf16PerSecond,
    blocks: sequences * heads * Math.ceil(newTokens / 128),
  };
}

/** Experts with at least one token when each of `tokens` picks `perToken` of `experts` evenly. */
function activeExperts(tokens: number, perToken: number, experts: number): number {
  return experts * (1 - (1 - perToken / experts) ** tokens);
}

function expertsTime(shape: ExpertsShape, system: SystemSpec, coefficients: Coefficients): KernelTime {
  const { tokens, hidden, expertsPerToken, expertTensor, expert, format } = shape;
  const curve = coefficients.experts[format];
  const width = shape.intermediate / expertTensor;
  const perRank = shape.experts / expert;
  const active = Math.min(
    perRank,
    Math.max(
      Math.min(1, tokens * expertsPerToken),
      activeExperts(tokens ** curve.visited, expertsPerToken, shape.experts) / expert,
    ),
  );
  // One token cannot load a rank with more than all its experts, however skewed the routing is.
  const routed = Math.min(
    ((tokens * expertsPerToken) / expert) * expert ** curve.skew,
    tokens * Math.min(expertsPerToken, perRank),
  );
  const matrices = shape.matrices * hidden * width;
  const activation = activationBytes(format);
  const work: Work = {
    operations: 2 * routed * matrices,
    bytes:
      active * matrices * weightBytes[format] +
      routed * ((hidden + width) * activation + ((shape.matrices - 1) * width + hidden) * 2),
    peakPerSecond: peakPerSecond(system, format),
    blocks: Math.max(active, routed / 128) * Math.ceil(Math.max(width, hidden) / 128),
  };
  const products = curveTime(work, system, curve, coefficients.overlap);
  // Kernels of their own sort tokens by expert before the products and sum what comes back after them.
  const moved =
    (routed * hidden * curve.permutedBytes) / (system.memoryBytesPerSecond * coefficients.elementwise.memory);
  return { floorMs: products.floorMs, workMs: products.workMs + moved * 1e3 };
}

function collectiveTime(
  { collective, bytes, gpus }: CollectiveShape,
  system: SystemSpec,
  { collective: curve }: Coefficients,
): KernelTime {
  if (gpus <= 1 || bytes === 0) return { workMs: 0, floorMs: 0 };
  const share = (gpus - 1) / gpus;
  const moved =
    collective === "allReduce" ? 2 * bytes * share : collective === "sendReceive" ? bytes : bytes * share;
  const latencyUs =
    (collective === "allReduce" ? curve.allReduceUs : curve.otherUs) + curve.perPeerUs * (gpus - 1);
  const local = (moved / (system.nvlinkBytesPerSecond * curve.bandwidth)) * 1e3;
  if (gpus <= system.nvlinkDomain) return { floorMs: latencyUs * 1e-3, workMs: local };
  if (system.nvlinkDomain === 1 && gpus <= system.gpusPerNode)
    return {
      floorMs: (latencyUs + curve.networkUs / 2) * 1e-3,
      workMs: (moved / (system.pcieBytesPerSecond * curve.networkBandwidth)) * 1e3,
    };
  const outside = 1 - system.gpusPerNode / gpus;
  return {
    floorMs: (latencyUs + curve.networkUs) * 1e-3,
    workMs: local + ((moved * outside) / (system.networkBytesPerSecond * curve.networkBandwidth)) * 1e3,
  };
}
