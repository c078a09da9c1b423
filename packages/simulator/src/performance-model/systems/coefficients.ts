import type { MatrixFormat } from "../split/quantization.ts";

/** How well a kernel family uses the hardware. Fractions are of the data-sheet rate. */
export interface EfficiencyCurve {
  /** Highest fraction of the tensor-core rate reached by large shapes. */
  readonly compute: number;
  /** Highest fraction of the memory bandwidth reached by large shapes. */
  readonly memory: number;
  /** Time of an empty kernel in microseconds: launch from a graph, prologue, epilogue. */
  readonly floorUs: number;
  /** Work, as a share of one full wave over the GPU, at which compute efficiency is halved. */
  readonly halfWave: number;
}

/** The grouped product of routed experts. */
export interface ExpertsCurve extends EfficiencyCurve {
  /** Load of the busiest rank over the mean is `ranks ** skew`. */
  readonly skew: number;
  /** Skewed routing visits as many experts as `tokens ** visited` tokens would if they chose evenly. */
  readonly visited: number;
  /** Bytes moved per routed token and hidden value outside of the products: sorting by expert, quantizing, the weighted sum. Not divided by `expertTensor`. */
  readonly permutedBytes: number;
}

/** Fitted or chosen numbers behind the roofline. See tools/calibrate for how each was got. */
export interface Coefficients {
  readonly matrix: Readonly<Record<MatrixFormat, EfficiencyCurve>>;
  readonly headMatrix: EfficiencyCurve;
  readonly prefillAttention: EfficiencyCurve;
  readonly prefillLatent: EfficiencyCurve;
  readonly decodeAttention: EfficiencyCurve;
  readonly decodeLatent: EfficiencyCurve;
  readonly linearAttention: EfficiencyCurve;
  readonly experts: Readonly<Record<MatrixFormat, ExpertsCurve>>;
  readonly elementwise: { readonly memory: number; readonly floorUs: number };
  readonly collective: {
    readonly allReduceUs: number;
    readonly perPeerUs: number;
    readonly otherUs: number;
    readonly networkUs: number;
    readonly bandwidth: number;
    readonly networkBandwidth: number;
  };
  /** Factors on work and floors that serving measurements of this architecture ask for; keys as in `workKey` and `floorKey`. */
  readonly scale: Readonly<Record<string, number>>;
  /** Exponent with which compute and memory time overlap: 1 adds them, infinity takes the larger. */
  readonly overlap: number;
}
