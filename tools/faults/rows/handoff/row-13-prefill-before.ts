import type { Row } from "../../row.ts";
import { handoffFault } from "./handoff-fault.ts";

export const row13: Row = {
  row: 13,
  title: "Prefill dies before the transfer",
  engines: ["simulated", "llama"],
  zero: ["leaked"],
  run: (context) =>
    handoffFault(context, {
      at: "started",
      of: "prefill",
      victim: "prefill",
      // Long enough prefills to die in.
      options: { config: { perPrefillTokenMs: 0.1 } },
    }),
};
