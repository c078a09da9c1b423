// KV transfer over device memory: the transports' own suite, between two processes on this device.
import { fileURLToPath } from "node:url";
import { transportSuite } from "@stator/kv-transfer/testing";
import { cudaUnderTest } from "../../packages/kv-transfer/test/cuda-transport.mjs";
import type { Check, GpuWorkbench } from "./workbench.ts";

const specifier = fileURLToPath(
  new URL("../../packages/kv-transfer/test/cuda-transport.mjs", import.meta.url),
);

export function transferChecks({ context, library }: GpuWorkbench): Readonly<Record<string, Check>> {
  const checks: Record<string, Check> = {};
  for (const sharing of context.device.hasFdHandles ? (["fd", "ipc"] as const) : (["ipc"] as const)) {
    const options = { sharing, ...(library === undefined ? {} : { library }) };
    const suite = transportSuite({
      transport: () => cudaUnderTest(options),
      memory: "device",
      module: { specifier, export: "cudaUnderTest", options },
    });
    for (const { name, run } of suite)
      // Against a fake driver the package's own tests run all of it.
      if (library === undefined || /two processes: reads/.test(name))
        checks[`transfer (${sharing}): ${name}`] = async () => {
          await run();
          return undefined;
        };
  }
  return checks;
}
