import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";
import { transportSuite } from "../testing/index.ts";
import { loopback } from "./loopback.ts";
import { sharedMemory } from "./shared-memory.ts";
import { tcp } from "./tcp.ts";

const specifier = fileURLToPath(new URL("../index.ts", import.meta.url));
const fixtures = [
  { name: "loopback", fixture: { transport: () => loopback() } },
  { name: "tcp", fixture: { transport: () => tcp(), module: { specifier, export: "tcp" } } },
  { name: "tcp with three connections", fixture: { transport: () => tcp({ connections: 3 }) } },
  { name: "shared memory", fixture: { transport: () => sharedMemory(), module: { specifier, export: "sharedMemory" } } },
];

describe.each(fixtures)("$name", ({ fixture }) => {
  for (const { name, run } of transportSuite(fixture)) it(name, run);
});
