import type { Row } from "../../row.ts";
import { handoffFault } from "./handoff-fault.ts";

export const row15: Row = {
  row: 15,
  title: "Prefill dies after the transfer",
  engines: ["simulated", "llama"],
  zero: ["leaked"],
  run: (context) => handoffFault(context, { at: "fetched", of: "decode", victim: "prefill" }),
};
