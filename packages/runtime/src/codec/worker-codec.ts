import { create } from "@bufbuild/protobuf";
import { WorkerRole, WorkerSchema, type Worker as Wire } from "@stator/contracts";
import type { Worker, WorkerRole as Role } from "@stator/core";
import { given, names } from "./names.ts";

const roles = names<Role, WorkerRole>({
  prefill: WorkerRole.PREFILL,
  decode: WorkerRole.DECODE,
  both: WorkerRole.BOTH,
});

export function workerToWire(worker: Worker): Wire {
  return create(WorkerSchema, {
    id: worker.id,
    epoch: worker.epoch,
    role: roles.number(worker.role),
    model: worker.model,
    capacity: worker.capacity,
    ranks: worker.ranks,
    ...given("failureGroup", worker.failureGroup),
    labels: { ...worker.labels },
  });
}

export function workerFromWire(wire: Wire): Worker {
  const { capacity } = wire;
  return {
    id: wire.id,
    epoch: wire.epoch,
    role: roles.word(wire.role, "both"),
    model: wire.model,
    capacity: {
      requests: capacity?.requests ?? 1,
      kvBlocks: capacity?.kvBlocks ?? 0,
      queue: capacity?.queue ?? 0,
      ...given("prefillTokensPerStep", capacity?.prefillTokensPerStep),
    },
    ranks: Math.max(1, wire.ranks),
    ...given("failureGroup", wire.failureGroup),
    labels: wire.labels,
  };
}
