import { expect, test } from "vitest";
import { discoveryFrom } from "./discovery-from-layout.ts";

test("every address of a layout has its discovery, and another is refused by name", async () => {
  for (const address of [
    "memory",
    "file",
    "file:/tmp/x",
    "redis://127.0.0.1:1",
    "rediss://host",
    "nats://127.0.0.1:1",
  ]) {
    expect(await discoveryFrom(address)).toHaveProperty("open");
  }
  await expect(discoveryFrom("etcd://x")).rejects.toThrow('discovery is "etcd://x"');
});
