import { parentPort, workerData } from "node:worker_threads";
import { StatorError } from "@stator/core";
import type { SweepMessage } from "./sweep.ts";
import { answer, type WhatIf } from "./what-if.ts";

const port = parentPort!;
const say = (message: SweepMessage): void => port.postMessage(message);
try {
  const result = answer(workerData as WhatIf, (progress) => say({ progress }));
  // Millions of outcomes stay here: what is printed are figures and timelines.
  say({ result: { ...result, outcomes: [] } });
} catch (error) {
  if (StatorError.isInstance(error)) {
    const { code, kind, message } = error;
    say({ error: { code, kind, message } });
  } else say({ error: { code: "INTERNAL", kind: "internal", message: String(error) } });
}
