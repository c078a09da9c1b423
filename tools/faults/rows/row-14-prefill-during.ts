import type { Row } from "../row.ts";
import { handoffFault } from "./handoff.ts";

export const row14: Row = {
  row: 14,
  title: "Prefill dies during the transfer",
  engines: ["simulated", "llama"],
  zero: ["leaked"],
  run: (context) =>
    handoffFault(context, {
      at: "fetching",
      of: "decode",
      victim: "prefill",
      // Some MiB over sockets take some ms: kills land before, within and after the bytes.
      options: { config: { isTcp: true, blockBytes: 128 * 1024, holdFetchMs: 10 } },
      afterMs: 20,
    }),
};
