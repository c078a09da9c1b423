import { create } from "@bufbuild/protobuf";
import { AddWorkerRequestSchema, WorkerRole, type AddWorkerRequest } from "@stator/contracts";
import { hashSchemeXxh3, type Worker, type WorkerRole as Role } from "@stator/core";
import type { SelectorCard } from "../selector/selector.ts";

const roles: Readonly<Record<Role, WorkerRole>> = {
  prefill: WorkerRole.PREFILL,
  decode: WorkerRole.DECODE,
  both: WorkerRole.BOTH,
};

/** A worker from its message; undefined without an id. */
export function workerOfMessage({ worker }: Pick<AddWorkerRequest, "worker">): Worker | undefined {
  if (worker === undefined || worker.id === "") return undefined;
  return {
    id: worker.id,
    epoch: worker.epoch,
    role:
      worker.role === WorkerRole.PREFILL ? "prefill" : worker.role === WorkerRole.DECODE ? "decode" : "both",
    model: worker.model,
    capacity: {
      requests: worker.capacity?.requests ?? 0,
      kvBlocks: worker.capacity?.kvBlocks ?? 0,
      queue: worker.capacity?.queue ?? 0,
    },
    ranks: Math.max(1, worker.ranks),
    labels: worker.labels,
  };
}

export function cardOfMessage({ blockTokens, adapters, tokenizerDigest }: AddWorkerRequest): SelectorCard {
  return {
    blockTokens,
    hashScheme: hashSchemeXxh3,
    adapters,
    ...(tokenizerDigest === "" ? {} : { tokenizer: { digest: tokenizerDigest } }),
  };
}

export function messageOfWorker(worker: Worker, card: SelectorCard): AddWorkerRequest {
  return create(AddWorkerRequestSchema, {
    worker: {
      id: worker.id,
      epoch: worker.epoch,
      role: roles[worker.role],
      model: worker.model,
      capacity: {
        requests: worker.capacity.requests,
        kvBlocks: worker.capacity.kvBlocks,
        queue: worker.capacity.queue,
      },
      ranks: worker.ranks,
      labels: { ...worker.labels },
    },
    blockTokens: card.blockTokens,
    adapters: [...card.adapters],
    tokenizerDigest: card.tokenizer?.digest ?? "",
  });
}
