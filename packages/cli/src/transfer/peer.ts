// One agent of `stator transfer bench` and `explain`, controlled over TransferService, until its parent is gone.
import { TransferService } from "@stator/contracts";
import { createAgent, createTransferService, type Transport } from "@stator/kv-transfer";
import { createRuntime, fileDiscovery } from "@stator/runtime";
import { transportNamed, transportProblem } from "./transports.ts";

const [name = "peer", names = "tcp", dir = ""] = process.argv.slice(2);
const problems: Record<string, string> = {};
const transports: Transport[] = [];
for (const each of names.split(",")) {
  const problem = await transportProblem(each);
  if (problem === undefined) transports.push(transportNamed(each));
  else problems[each] = problem;
}
if (transports.length === 0) throw new Error(Object.values(problems).join("; "));
const agent = await createAgent({ name: `${name}-${process.pid}`, transports });
const service = createTransferService({ agent });
const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
await runtime.serveService(TransferService, service.implementation, { name });
process.once("disconnect", () => {
  void Promise.all([service.close(), agent.close(), runtime.close()]).finally(() => process.exit(0));
});
process.send?.({ problems });
