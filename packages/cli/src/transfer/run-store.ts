import { TransferService } from "@stator/contracts";
import {
  createTierStore,
  createTransferEnds,
  createTransferService,
  diskTier,
  hostTier,
  loopback,
  tcp,
} from "@stator/kv-transfer";
import { closeOnSignal, createRuntime, notifyReady, watchSupervisor } from "@stator/runtime";
import { discoveryFrom } from "../processes/discovery-from-layout.ts";
import { createLogger } from "../processes/logger.ts";
import type { WorkerProcessOptions } from "../processes/run-worker.ts";

export interface StoreProcessOptions extends Pick<
  WorkerProcessOptions,
  "namespace" | "discovery" | "host" | "advertise" | "logLevel"
> {
  /** What workers call it: their `--shared-cache`. */
  readonly name: string;
  readonly hostBytes: number;
  readonly diskDirectory?: string;
  readonly diskBytes: number;
  readonly onReady: () => void;
}

/** A process that keeps KV blocks for all workers of a namespace. Resolves once all is closed. */
export async function runStore(options: StoreProcessOptions): Promise<void> {
  const { name, host = "127.0.0.1", advertise = host, diskDirectory } = options;
  const logger = createLogger(options.logLevel, { process: "store", store: name });
  const ends = await createTransferEnds({
    logger,
    ...(host === "127.0.0.1" ? {} : { transports: [loopback(), tcp({ host, advertise })] }),
  });
  const store = await createTierStore({
    tiers: [
      ...(options.hostBytes === 0 ? [] : [hostTier({ budgetBytes: options.hostBytes })]),
      ...(diskDirectory === undefined
        ? []
        : [diskTier({ directory: diskDirectory, budgetBytes: options.diskBytes })]),
    ],
  });
  const service = createTransferService({ agent: ends.agent, store });
  const runtime = await createRuntime({
    discovery: await discoveryFrom(options.discovery),
    namespace: options.namespace,
    listen: { host, advertise },
    logger,
  });
  await runtime.serveService(TransferService, service.implementation, { name });
  watchSupervisor();
  notifyReady({});
  options.onReady();
  await closeOnSignal(runtime);
  await service.close();
  await store.close();
  await ends.close();
}
