import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { RegistrationSchema } from "@stator/contracts";
import { createDeadlines, silentLogger, systemClock } from "@stator/core";
import { fileDiscovery, memoryDiscovery } from "@stator/runtime";
import { discoveryCompliance } from "@stator/runtime/testing";
import { describe, expect, test } from "vitest";

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

  test("a record that cannot be written leaves nothing behind, however often it is tried", async () => {
    const dir = await mkdtemp(join(tmpdir(), "stator-discovery-"));
    const clock = systemClock;
    const deadlines = createDeadlines();
    const store = await fileDiscovery({ dir }).open({
      namespace: "n",
      clock,
      deadlines,
      logger: silentLogger,
    });
    // A folder under the record's name: it cannot be replaced.
    await mkdir(join(dir, "n", "w.json", "x"), { recursive: true });
    const record = create(RegistrationSchema, { id: "w", epoch: "1", address: "http://127.0.0.1:1" });
    for (let i = 0; i < 3; i++) await expect(store.put(record, { claim: true })).rejects.toThrow("writing w");
    expect(await readdir(join(dir, "n"))).toEqual(["w.json"]);
    await store.close();
    await rm(dir, { recursive: true, force: true });
  });
});
