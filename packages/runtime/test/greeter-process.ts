// A process that serves the greeter for the tests.
import { createRuntime, fileDiscovery, notifyReady, watchSupervisor } from "@stator/runtime";
import { Greeter } from "./greeter.ts";

const [dir = "", id = ""] = process.argv.slice(2);
watchSupervisor();
const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
await runtime.serveService(
  Greeter,
  {
    greet: ({ value }) => ({ value: `${id}: hello ${value}` }),
    async *count() {
      for (let i = 0; ; i++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield { value: String(i) };
      }
    },
  },
  { id },
);
notifyReady();
