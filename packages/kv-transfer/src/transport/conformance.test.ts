import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, it } from "vitest";
import { type TransportFixture, transportSuite } from "../testing/index.ts";
import { loadTransferAddon } from "../native/transfer-addon.ts";
import { cma } from "./cma.ts";
import { file } from "./file.ts";
import { loopback } from "./loopback.ts";
import { sharedMemory } from "./shared-memory.ts";
import { createAgent } from "../agent/create-agent.ts";
import { tcp } from "./tcp.ts";
import { ucx } from "./ucx.ts";

const specifier = fileURLToPath(new URL("../index.ts", import.meta.url));
const directory = (name: string): string => {
  const path = join(tmpdir(), `stator-test-${process.pid}-${name}`);
  mkdirSync(path, { mode: 0o700, recursive: true });
  return path;
};
const diskOptions = { directory: directory("disk") };
const directOptions = { directory: directory("direct"), isDirect: true };
afterAll(() => {
  for (const { directory: path } of [diskOptions, directOptions]) rmSync(path, { recursive: true });
});
const fixtures = [
  { name: "loopback", fixture: { transport: () => loopback() } },
  {
    name: "tcp in TypeScript",
    fixture: {
      transport: () => tcp({ dataPath: "typescript" }),
      module: { specifier, export: "tcp", options: { dataPath: "typescript" } },
    },
  },
  {
    name: "tcp in TypeScript with three connections",
    fixture: { transport: () => tcp({ dataPath: "typescript", connections: 3 }) },
  },
  {
    name: "files on disk",
    fixture: {
      transport: () => file(diskOptions),
      module: { specifier, export: "file", options: diskOptions },
    },
  },
  {
    name: "files on disk past the page cache",
    only: /pieces|odd sizes|stale epoch|two processes: (reads|blocks)/,
    fixture: {
      transport: () => file(directOptions),
      module: { specifier, export: "file", options: directOptions },
    },
  },
  {
    name: "shared memory through files",
    fixture: {
      transport: () => sharedMemory({ backing: "files" }),
      module: { specifier, export: "sharedMemory", options: { backing: "files" } },
    },
  },
];
const native = loadTransferAddon();
const isRequired = (process.env.STATOR_REQUIRE ?? "").split(",").includes("native");
if (!native.isAvailable && isRequired) throw new Error(`STATOR_REQUIRE asks for native: ${native.reason}`);
if (!native.isAvailable) console.log(`skipped: transports of the native addon: ${native.reason}`);
const nativeFixtures: { name: string; only?: RegExp; fixture: TransportFixture }[] = native.isAvailable
  ? [
      {
        name: "tcp by native threads",
        fixture: { transport: () => tcp(), module: { specifier, export: "tcp" } },
      },
      {
        name: "tcp by native threads with three connections",
        fixture: {
          transport: () => tcp({ connections: 3 }),
          module: { specifier, export: "tcp", options: { connections: 3 } },
        },
      },
      {
        name: "tcp to a peer without the addon",
        only: /two processes: (reads|blocks)/,
        fixture: {
          transport: () => tcp(),
          module: { specifier, export: "tcp", options: { dataPath: "typescript" } },
        },
      },
      {
        name: "shared memory through memfds",
        fixture: { transport: () => sharedMemory(), module: { specifier, export: "sharedMemory" } },
      },
      {
        name: "a memfd seen without the addon",
        only: /two processes: (reads|blocks)/,
        fixture: {
          transport: () => sharedMemory({ backing: "files" }),
          module: { specifier, export: "sharedMemory" },
        },
      },
      {
        name: "cross-memory attach",
        fixture: { transport: () => cma(), module: { specifier, export: "cma" } },
      },
    ]
  : [];

// Another UCX than the system's: STATOR_UCX_LIBRARY=/path/to/libucp.so.0 runs the same suite on it.
const library = process.env.STATOR_UCX_LIBRARY;
const ucxOptions = library === undefined ? {} : { library };
const ucxReason = await createAgent({ transports: [ucx(ucxOptions)] }).then(
  async (agent) => {
    await agent.close();
    return undefined;
  },
  (error: Error) => error.message,
);
if (ucxReason === undefined)
  nativeFixtures.push({
    name: "UCX",
    fixture: {
      transport: () => ucx(ucxOptions),
      module: { specifier, export: "ucx", options: ucxOptions },
    },
  });
else console.log(`skipped: UCX: ${ucxReason}`);

for (const { name: transport, only, fixture } of [...fixtures, ...nativeFixtures] as typeof nativeFixtures)
  describe(transport, () => {
    for (const { name, run } of transportSuite(fixture)) if (only?.test(name) !== false) it(name, run);
  });
