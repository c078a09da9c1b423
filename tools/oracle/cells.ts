/** One comparison of the identity oracle. */
export interface Cell {
  /** Output index at which the fault strikes. */
  readonly index: number;
  readonly fault: Fault;
  readonly sampling: "greedy" | "seeded";
  readonly delivery: "stream" | "unary";
  readonly api: "chat" | "completions";
}

export type Fault = "kill" | "stop" | "unplug" | "drain" | "transferCut";

export const faults: readonly Fault[] = ["kill", "stop", "unplug", "drain", "transferCut"];
export const indexes = 64;

/** All 64 × 5 × 2 × 2 × 2 = 2,560 cells, or every `every`-th of them from `offset` on. */
export function cells(every: number = 1, offset: number = 0): Cell[] {
  const all: Cell[] = [];
  for (let index = 0; index < indexes; index++) {
    for (const fault of faults) {
      for (const sampling of ["greedy", "seeded"] as const) {
        for (const delivery of ["stream", "unary"] as const) {
          for (const api of ["chat", "completions"] as const)
            all.push({ index, fault, sampling, delivery, api });
        }
      }
    }
  }
  return all.filter((_, i) => i % every === offset % every);
}
