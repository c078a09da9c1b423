import type { Hello } from "@stator/contracts";
import { contractVersion, type ModelCard, type Worker } from "@stator/core";
import { RuntimeError } from "../../runtime-error.ts";

/**
 * The contract version of a session: the newest that both sides speak.
 *
 * @throws RuntimeError when hello is missing, of other contracts, or for another life.
 */
export function agreeOnContract(hello: Hello | undefined, card: ModelCard, worker: Worker): number {
  if (hello === undefined) {
    throw new RuntimeError({
      code: "RUNTIME_SESSION_REFUSED",
      kind: "invalid",
      message: "A session starts with Hello; this one did not.",
    });
  }
  const contract = Math.min(hello.contract?.max ?? 0, contractVersion);
  if (contract < Math.max(hello.contract?.min ?? 1, card.contract.min)) {
    throw new RuntimeError({
      code: "RUNTIME_CONTRACT_MISMATCH",
      kind: "incompatible",
      message: `Caller speaks contracts ${hello.contract?.min ?? "?"} to ${hello.contract?.max ?? "?"}, worker ${worker.id} ${card.contract.min} to ${contractVersion}.`,
    });
  }
  if (hello.epoch !== "" && hello.epoch !== worker.epoch) {
    throw new RuntimeError({
      code: "RUNTIME_EPOCH_FENCED",
      kind: "unavailable",
      message: `Worker ${worker.id} is in epoch ${worker.epoch}; the caller expected ${hello.epoch}.`,
      data: { observation: "neverStarted" },
    });
  }
  return contract;
}
