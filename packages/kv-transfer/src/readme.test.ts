import { expect, test } from "vitest";
import { createAgent, describe, tcp } from "@stator/kv-transfer";

test("the README's agents move every other block", async () => {
  const prefill = await createAgent({ name: "prefill", transports: [tcp()] });
  const decode = await createAgent({ name: "decode", transports: [tcp()] });
  const blocks = await prefill.allocate({ bytes: 64 * 4096, blockBytes: 4096 });
  for (let i = 0; i < 64; i += 1) blocks.write(i * 4096, new Uint8Array(4096).fill(i));
  const local = decode.register(new Uint8Array(8 * 4096));
  const peer = decode.importMetadata(prefill.exportMetadata({ regions: [blocks] }));
  const stats = await decode.transfer({
    operation: "read",
    peer,
    local: describe(local, [{ offset: 0, bytes: 4096, stride: 4096, count: 8 }]),
    remote: describe(peer.region(blocks.id), [{ offset: 0, bytes: 4096, stride: 8192, count: 8 }]),
    epochs: [{ region: blocks.id, blocks: Uint32Array.of(0), expected: BigUint64Array.of(0n) }],
    notify: { tag: "fetched" },
  });
  await prefill.expect("decode", "fetched", 1);
  expect(stats).toMatchObject({ bytes: 8 * 4096, transports: ["tcp"] });
  expect(Array.from({ length: 8 }, (_, i) => local.read(i * 4096, 1)[0])).toEqual([
    0, 2, 4, 6, 8, 10, 12, 14,
  ]);
  await decode.close();
  await prefill.close();
});
