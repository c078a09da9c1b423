import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";
import { transportSuite } from "../testing/index.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { cma } from "./cma.ts";
import { loopback } from "./loopback.ts";
import { sharedMemory } from "./shared-memory.ts";
import { tcp } from "./tcp.ts";

const specifier = fileURLToPath(new URL("../index.ts", import.meta.url));
const fixtures = [
  { name: "loopback", fixture: { transport: () => loopback() } },
  { name: "tcp", fixture: { transport: () => tcp(), module: { specifier, export: "tcp" } } },
  { name: "tcp with three connections", fixture: { transport: () => tcp({ connections: 3 }) } },
  {
    name: "shared memory through files",
    fixture: { transport: () => sharedMemory({ backing: "files" }), module: { specifier, export: "sharedMemory", options: { backing: "files" } } },
  },
];
const native = loadTransferAddon();
const isRequired = (process.env.STATOR_REQUIRE ?? "").split(",").includes("native");
if (!native.isAvailable && isRequired) throw new Error(`STATOR_REQUIRE asks for native: ${native.reason}`);
if (!native.isAvailable) console.log(`skipped: transports of the native addon: ${native.reason}`);
const nativeFixtures = native.isAvailable
  ? [
      { name: "shared memory through memfds", fixture: { transport: () => sharedMemory(), module: { specifier, export: "sharedMemory" } } },
      {
        name: "a memfd seen without the addon",
        fixture: { transport: () => sharedMemory({ backing: "files" }), module: { specifier, export: "sharedMemory" } },
      },
      { name: "cross-memory attach", fixture: { transport: () => cma(), module: { specifier, export: "cma" } } },
    ]
  : [];

describe.each([...fixtures, ...nativeFixtures])("$name", ({ fixture }) => {
  for (const { name, run } of transportSuite(fixture)) it(name, run);
});
