import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileDiscovery, memoryDiscovery } from "@stator/runtime";
import { discoveryCompliance } from "@stator/runtime/testing";
import { describe, test } from "vitest";

describe("memory discovery", () => {
  const suite = discoveryCompliance(() => {
    const discovery = memoryDiscovery();
    return Promise.resolve({ discoveries: [discovery, discovery], close: () => Promise.resolve() });
  });
  for (const { name, run } of suite) test.concurrent(name, run);
});

describe("file discovery", () => {
  const suite = discoveryCompliance(async () => {
    const dir = await mkdtemp(join(tmpdir(), "stator-discovery-"));
    return {
      discoveries: [fileDiscovery({ dir }), fileDiscovery({ dir })],
      close: () => rm(dir, { recursive: true, force: true }),
    };
  });
  for (const { name, run } of suite) test.concurrent(name, run);
});
