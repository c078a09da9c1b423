import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { isCudaAvailable } from "@stator/cuda-bindings";
import {
  createAgent,
  cuda,
  describe as pieces,
  sharedMemory,
  tcp,
  type GpuDriver,
} from "@stator/kv-transfer";
import { fillPattern, patternBytes } from "@stator/kv-transfer/testing";
import { cudaUnderTest } from "../cuda-transport.mjs";
import { conforms, hasAddon, ownFolder } from "./suite.ts";

// A driver whose device memory is host memory that processes can open by its handles, and whose kernels are the real ones, compiled as plain C++.
const source = fileURLToPath(new URL("../../../cuda-bindings/test/fake/fake-cuda.cc", import.meta.url));
const library = join(ownFolder("cuda"), "libcuda.so.1");
const isBuilt =
  hasAddon() &&
  spawnSync("g++", ["-shared", "-fPIC", "-O1", "-std=c++17", source, "-o", library]).status === 0 &&
  isCudaAvailable({ library }).isAvailable;
if (!isBuilt) console.log("skipped: cuda against a fake driver: no addon or no g++");

if (isBuilt) {
  const specifier = fileURLToPath(new URL("../cuda-transport.mjs", import.meta.url));
  for (const [sharing, name] of [
    ["fd", "CUDA memory by file descriptor"],
    ["ipc", "CUDA memory by legacy handles"],
  ] as const) {
    const options = { library, sharing };
    conforms(name, {
      transport: () => cudaUnderTest(options),
      memory: "device",
      module: { specifier, export: "cudaUnderTest", options },
    });
  }
}

describe.skipIf(!isBuilt)("device memory", () => {
  it("moves between devices' memory, large and small pieces, both ways", async () => {
    const [initiator, target] = await Promise.all([
      createAgent({ transports: [cudaUnderTest({ library })] }),
      createAgent({ transports: [cudaUnderTest({ library })] }),
    ]);
    const bytes = 6_000_000;
    const [here, there] = await Promise.all(
      [initiator, target].map((agent) => agent.allocate({ bytes, memory: "device" })),
    );
    await fillPattern(there!, 4);
    const peer = initiator.importMetadata(target.exportMetadata());
    // Above and below what a copy of its own is worth, with a stride and an odd end.
    const list = [
      { offset: 0, bytes: 2_000_001 },
      { offset: 2_000_002, bytes: 20_000, stride: 30_000, count: 50 },
      { offset: 4_000_003, bytes: 7, stride: 100, count: 1000 },
    ];
    const ask = {
      peer,
      local: pieces(here!, list),
      remote: pieces(peer.region(there!.id), list),
    };
    await initiator.transfer({ ...ask, operation: "read" });
    const expected = new Uint8Array(bytes);
    for (const piece of list)
      for (let k = 0; k < (piece.count ?? 1); k += 1) {
        const at = piece.offset + k * (piece.stride ?? 0);
        expected.set(patternBytes(4, at, piece.bytes), at);
      }
    expect(Buffer.compare(here!.read(0, bytes), expected)).toBe(0);
    there!.write(0, new Uint8Array(bytes));
    await initiator.transfer({ ...ask, operation: "write" });
    expect(Buffer.compare(there!.read(0, bytes), expected)).toBe(0);
    await Promise.all([initiator.close(), target.close()]);
  });

  it("goes over TCP, staged through host memory, where the peer's device can't be seen, and says so", async () => {
    const target = await createAgent({ transports: [cudaUnderTest({ library }), tcp(), sharedMemory()] });
    const initiator = await createAgent({ transports: [tcp(), sharedMemory()] });
    const there = await target.allocate({ bytes: 100_000, memory: "device" });
    await fillPattern(there, 6);
    const peer = initiator.importMetadata(target.exportMetadata());
    const here = initiator.register(new Uint8Array(100_000));
    const whole = [{ offset: 0, bytes: 100_000 }];
    const remote = peer.region(there.id);
    expect(remote.memory).toBe("device");
    expect(initiator.explain(peer, here, remote)).toMatchObject({
      chosen: "tcp",
      path: expect.stringContaining("staged through host memory") as string,
      candidates: [{}, { reach: { reason: "shm carries host memory, not device" } }],
    });
    await initiator.transfer({
      operation: "read",
      peer,
      local: pieces(here, whole),
      remote: pieces(remote, whole),
    });
    expect(Buffer.compare(here.read(0, 100_000), patternBytes(6, 0, 100_000))).toBe(0);
    await Promise.all([initiator.close(), target.close()]);
  });

  it("needs a device, a transport that makes its memory, and room", async () => {
    const driver: GpuDriver = { devices: [], context: () => expect.fail("no device") };
    await expect(createAgent({ transports: [cuda({ driver })] })).rejects.toMatchObject({
      code: "TRANSFER_OPTION_INVALID",
    });
    const plain = await createAgent({ transports: [tcp()] });
    await expect(plain.allocate({ bytes: 1, memory: "device" })).rejects.toMatchObject({
      code: "TRANSFER_PATH_UNAVAILABLE",
    });
    const agent = await createAgent({ transports: [cudaUnderTest({ library, sharing: "ipc" })] });
    process.env.FAKE_CUDA_FAIL = "cuMemAlloc_v2=2";
    await expect(agent.allocate({ bytes: 100, memory: "device" })).rejects.toMatchObject({
      code: "TRANSFER_LIMIT",
    });
    delete process.env.FAKE_CUDA_FAIL;
    await Promise.all([plain.close(), agent.close()]);
  });

  it("a failing driver is a failed transfer, and the next way carries it", async () => {
    const target = await createAgent({ transports: [cudaUnderTest({ library }), tcp()] });
    const initiator = await createAgent({ transports: [cudaUnderTest({ library }), tcp()] });
    const there = await target.allocate({ bytes: 10_000, memory: "device" });
    await fillPattern(there, 9);
    const peer = initiator.importMetadata(target.exportMetadata());
    const here = initiator.register(new Uint8Array(10_000));
    const whole = [{ offset: 0, bytes: 10_000 }];
    process.env.FAKE_CUDA_FAIL = "cuLaunchKernel=700";
    const stats = await initiator.transfer({
      operation: "read",
      peer,
      local: pieces(here, whole),
      remote: pieces(peer.region(there.id), whole),
    });
    delete process.env.FAKE_CUDA_FAIL;
    expect(stats).toMatchObject({ failovers: 1, transports: ["tcp"] });
    expect(Buffer.compare(here.read(0, 10_000), patternBytes(9, 0, 10_000))).toBe(0);
    await Promise.all([initiator.close(), target.close()]);
  });
});
