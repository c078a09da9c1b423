import type { BackendName, Generation } from "@stator/simulator/performance-model";

/** How an engine's scheduler turns step times into what users see. */
interface SchedulingTerms {
  /** Prefill work that decode really waits for, over what the steps' difference says. */
  readonly prefillInterference: number;
  /** A prefill on one attention rank stalls the others: its share grows as `ranks ** dataStall`. */
  readonly dataStall: number;
}

/** Time to first token = fixed + steps · decode step + prefill · own prefill + queue · mean-value wait + burst · (concurrency · prefill service). */
export interface FirstTokenTerms {
  readonly fixedMs: number;
  readonly steps: number;
  readonly prefill: number;
  readonly queue: number;
  readonly burst: number;
}

export interface ServingTerms {
  readonly scheduling: Readonly<Record<BackendName, Readonly<Record<Generation, SchedulingTerms>>>>;
  readonly aggregated: Readonly<Record<BackendName, Readonly<Record<Generation, FirstTokenTerms>>>>;
  readonly disaggregated: Readonly<Record<BackendName, Readonly<Record<Generation, FirstTokenTerms>>>>;
}
