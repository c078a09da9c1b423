import { loopback, tcp } from "@stator/kv-transfer";
import { conforms, specifier } from "./suite.ts";

conforms("loopback", { transport: () => loopback() });
conforms("tcp in TypeScript", {
  transport: () => tcp({ dataPath: "typescript" }),
  needsLoopOf: "both",
  module: { specifier, export: "tcp", options: { dataPath: "typescript" }, takesPort: true },
});
conforms("tcp in TypeScript with three connections", {
  transport: () => tcp({ dataPath: "typescript", connections: 3 }),
});
