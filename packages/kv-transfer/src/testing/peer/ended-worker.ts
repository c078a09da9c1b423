import { Worker } from "node:worker_threads";
import type { MemoryKind } from "../../transport/transport.ts";

const code = `
const { parentPort, workerData } = require("node:worker_threads");
(async () => {
  // A worker has module hooks of its own.
  if (workerData.loader !== undefined) (await import(workerData.loader)).register();
  const { createAgent } = await import(workerData.agent);
  const { describe } = await import(workerData.descriptors);
  const module = await import(workerData.module);
  const agent = await createAgent({ transports: [module[workerData.export](workerData.options)], connectDeadlineMs: 10_000 });
  const bytes = 32e6;
  const there = await agent.allocate({ bytes, memory: workerData.memory });
  const here = agent.register(new Uint8Array(bytes));
  const peer = agent.importMetadata(agent.exportMetadata());
  const piece = [{ offset: 0, bytes }];
  const ask = { operation: "read", peer, local: describe(here, piece), remote: describe(peer.region(there.id), piece) };
  await agent.transfer(ask);
  for (let i = 0; i < 4; i += 1) agent.createTransfer(ask).post();
  parentPort.postMessage("running");
})();
`;

/** Runs an agent in a worker thread and ends the thread while its transfers run. */
export async function endWorkerInTransfer(
  module: string,
  exportName: string,
  options: unknown,
  memory: MemoryKind,
): Promise<void> {
  const suffix = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const here = (path: string): string => new URL(`${path}.${suffix}`, import.meta.url).href;
  const worker = new Worker(code, {
    eval: true,
    workerData: {
      module,
      export: exportName,
      options,
      memory,
      loader: suffix === "ts" ? import.meta.resolve("tsx/esm/api") : undefined,
      agent: here("../../agent/create-agent"),
      descriptors: here("../../agent/descriptors"),
    },
  });
  await new Promise<unknown>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  await worker.terminate();
}
