import type { Row } from "../../row.ts";
import { handoffFault } from "./handoff-fault.ts";

export const row16: Row = {
  row: 16,
  title: "Decode dies while prefill holds KV for it",
  engines: ["simulated", "llama"],
  zero: ["leaked"],
  run: (context) =>
    handoffFault(context, {
      at: "fetching",
      of: "decode",
      victim: "decode",
      // It dies before it fetches, so that only the lease can free the source.
      options: { config: { holdFetchMs: 50 } },
    }),
};
