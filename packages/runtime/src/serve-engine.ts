import { create } from "@bufbuild/protobuf";
import { RegistrationSchema } from "@stator/contracts";
import type { Clock, Engine, Worker, WorkerCapacity, WorkerRole } from "@stator/core";
import { workerToWire } from "./codec/worker-codec.ts";
import { register } from "./discovery/registrar.ts";
import { publishKvEvents } from "./events/kv-topics.ts";
import { newEpoch, randomName, type RuntimeContext } from "./runtime-context.ts";
import { RuntimeError } from "./runtime-error.ts";
import { createEngineHost } from "./session/worker/engine-host.ts";

export interface ServeEngineOptions {
  readonly role: WorkerRole;
  /** Unique in the namespace. Default: model, role and a random part. */
  readonly id?: string;
  /** Default: 64 requests, 256 waiting, KV blocks unknown. */
  readonly capacity?: Partial<WorkerCapacity>;
  /** Data-parallel ranks. Default 1. */
  readonly ranks?: number;
  /** Workers that fail together: a node, a rack. Default: none. */
  readonly failureGroup?: string;
  /** For policies and `requireLabels`. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** An engine that others can call. */
export interface ServedEngine extends AsyncDisposable {
  readonly worker: Worker;
  /** Takes nothing new and says so; resolves when what runs has ended, or after the drain deadline. */
  drain(): Promise<void>;
  /** Withdraws the registration and ends the sessions. The engine stays its owner's. Idempotent. */
  close(): Promise<void>;
  /** Ends it as the death of its process would: streams break, nothing is said, the lease runs out. For tests. */
  kill(): void;
}

export async function serveEngine(
  context: RuntimeContext,
  engine: Engine,
  options: ServeEngineOptions,
  onEnd: (served: ServedEngine) => void,
): Promise<ServedEngine> {
  const { clock, deadlines, logger, end } = context;
  const { card } = engine;
  if (card === undefined) {
    throw new RuntimeError({
      code: "RUNTIME_ENGINE_WITHOUT_CARD",
      kind: "invalid",
      message: "The engine has no card yet; serve it once it knows its model.",
    });
  }
  const worker: Worker = {
    id: options.id ?? `${card.model}-${options.role}-${randomName(6)}`,
    epoch: newEpoch(),
    role: options.role,
    model: card.model,
    capacity: { requests: 64, queue: 256, kvBlocks: 0, ...options.capacity },
    ranks: options.ranks ?? 1,
    ...(options.failureGroup === undefined ? {} : { failureGroup: options.failureGroup }),
    labels: options.labels ?? {},
  };
  const address = await context.listen();
  const news =
    context.events && publishKvEvents(context.events, worker, clock, deadlines.registrationHeartbeatMs);
  const host = createEngineHost({ engine, card, worker, clock, deadlines, logger, onEvents: news?.add });
  // The same id served anew here: the earlier life is over.
  end.hosts.get(worker.id)?.close("abrupt");
  end.hosts.set(worker.id, host);
  let isOver = false;

  const finish = async (how: "orderly" | "abrupt"): Promise<void> => {
    if (isOver) return;
    isOver = true;
    onEnd(served);
    news?.stop();
    if (end.hosts.get(worker.id) === host) end.hosts.delete(worker.id);
    if (how === "abrupt") registrar.abandon();
    else await registrar.withdraw();
    host.close(how);
  };

  const registrar = await register({
    store: context.store,
    record: create(RegistrationSchema, {
      id: worker.id,
      epoch: worker.epoch,
      address,
      contract: card.contract,
      subject: { case: "worker", value: workerToWire(worker) },
      pid: process.pid,
    }),
    clock,
    deadlines,
    logger,
    onAnswer: context.onAnswer,
    onFenced(error) {
      logger.error("another life of this worker took over", { worker: worker.id, error: error.message });
      void finish("orderly");
    },
  });

  const served: ServedEngine = {
    worker,
    async drain() {
      registrar.update((record) => (record.draining = true));
      await within(clock, deadlines.drainMs, host.drain());
    },
    close: () => finish("orderly"),
    kill: () => void finish("abrupt"),
    [Symbol.asyncDispose]: () => finish("orderly"),
  };
  logger.info("serving", { worker: worker.id, model: worker.model, role: worker.role, address });
  return served;
}

async function within(clock: Clock, waitMs: number, work: Promise<void>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = clock.schedule(waitMs, resolve);
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
