import { expect, test } from "vitest";
import { isCudaAvailable, openCuda, openNvml } from "@stator/cuda-bindings";

test("the README's question has an answer on every machine", async () => {
  const cuda = isCudaAvailable();
  if (!cuda.isAvailable) {
    expect(cuda.reason).toMatch(/^CUDA is not available|\.$/);
    return;
  }
  const context = openCuda().context(0);
  const memory = context.allocate(1 << 20);
  const stream = context.createStream();
  context.copy(memory, context.pinned(1 << 20), { stream });
  await stream.synchronize();
  expect(openNvml().devices().length).toBeGreaterThan(0);
});
