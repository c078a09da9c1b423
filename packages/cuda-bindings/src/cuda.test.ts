import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { loadCudaAddon } from "./cuda-addon.ts";
import { CudaError, isCudaAvailable, kvKernelsPtx, openCuda, openNvml } from "./index.ts";

const compiler = ["g++", "clang++"].find((name) => spawnSync(name, ["--version"]).status === 0);
const addon = loadCudaAddon();
const isRequired = (process.env.STATOR_REQUIRE ?? "").split(",").includes("native");
const isReady = addon.isAvailable && compiler !== undefined && process.platform === "linux";
if (!isReady && isRequired)
  throw new Error(`STATOR_REQUIRE asks for native: ${addon.isAvailable ? "no C++ compiler" : addon.reason}`);
if (!isReady)
  console.log(
    `skipped: CUDA bindings against fake drivers: ${addon.isAvailable ? "no C++ compiler" : addon.reason}`,
  );

it("the committed PTX loads on drivers of the 550 line and names every kernel", () => {
  const [, major, minor] = /\.version (\d+)\.(\d+)/.exec(kvKernelsPtx) as unknown as [string, string, string];
  expect(Number(major) * 10 + Number(minor)).toBeLessThanOrEqual(84);
  for (const kernel of [
    "stator_copy_table",
    "stator_regroup",
    "stator_permute",
    "stator_fp8_to_bf16",
    "stator_bf16_to_fp8",
    "stator_checksum",
  ])
    expect(kvKernelsPtx).toContain(`.entry ${kernel}(`);
});

it("says in one sentence why CUDA is not there", () => {
  const availability = isCudaAvailable({ library: "/nowhere/libcuda.so.1" });
  expect(availability.isAvailable).toBe(false);
  if (!availability.isAvailable)
    expect(availability.reason).toMatch(addon.isAvailable ? /nowhere/ : /build:native/);
});

describe.skipIf(!isReady)("against fake drivers", () => {
  let folder = "";
  let cudaLibrary = "";
  let nvmlLibrary = "";
  let log = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "stator-fake-gpu-"));
    const build = (name: string): string => {
      const source = fileURLToPath(new URL(`../test/fake/${name}.cc`, import.meta.url));
      const target = join(folder, `lib${name}.so`);
      const { status, stderr } = spawnSync(
        compiler as string,
        ["-shared", "-fPIC", "-O1", "-std=c++17", source, "-o", target],
        { encoding: "utf8" },
      );
      if (status !== 0) throw new Error(stderr);
      return target;
    };
    cudaLibrary = build("fake-cuda");
    nvmlLibrary = build("fake-nvml");
    log = join(folder, "calls.log");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(() => {
    for (const name of [
      "FAKE_CUDA_FAIL",
      "FAKE_CUDA_LOG",
      "FAKE_CUDA_DEVICES",
      "FAKE_NVML_FAIL",
      "FAKE_NVML_XID",
    ])
      delete process.env[name];
  });
  const calls = (): string[] => readFileSync(log, "utf8").split("\n").filter(Boolean);

  it("lists devices with what a scheduler needs to know", () => {
    const cuda = openCuda({ library: cudaLibrary });
    expect(cuda.driverVersion).toBe(12040);
    expect(cuda.devices.map((device) => [device.name, device.computeCapability, device.pciBusId])).toEqual([
      ["Fake GPU 0", "9.0", "0000:01:00.0"],
      ["Fake GPU 1", "9.0", "0000:02:00.0"],
    ]);
    expect(cuda.devices[0]?.uuid).toBe("GPU-01010101-0101-0101-0101-010101010101");
    expect(cuda.canAccessPeer(0, 1)).toBe(true);
    expect(isCudaAvailable({ library: cudaLibrary })).toEqual({
      isAvailable: true,
      driverVersion: 12040,
      devices: 2,
    });
  });

  it("copies host to device to device to host, and between devices", async () => {
    const cuda = openCuda({ library: cudaLibrary });
    const context = cuda.context(0);
    const other = cuda.context(1);
    const [a, b] = [context.allocate(1000), context.allocate(1000)];
    const far = other.allocate(1000);
    const stream = context.createStream();
    const source = context.pinned(1000).map((_, i) => i & 255);
    context.copy(a, source, { stream });
    context.copy(b, a, { sourceOffset: 100, bytes: 500, stream });
    context.copy(far, b, { bytes: 500, stream });
    const back = new Uint8Array(500);
    context.copy(back, far, { bytes: 500, stream });
    await stream.synchronize();
    expect(Buffer.compare(back, source.subarray(100, 600))).toBe(0);
    expect(stream.isIdle).toBe(true);
    for (const handle of [a, b, far, stream]) handle.close();
  });

  it("opens another process's memory by its IPC handle, and not its own", async () => {
    const context = openCuda({ library: cudaLibrary }).context(0);
    const memory = context.allocate(64);
    context.fill(memory, 7);
    const handle = memory.ipcHandle();
    expect(handle.length).toBe(64);
    expect(() => context.openIpc(handle, 64)).toThrow(CudaError);
    const child = fork(fileURLToPath(new URL("../test/gpu-peer.ts", import.meta.url)), {
      execArgv: ["--import", "tsx", "--conditions=@stator/source"],
      serialization: "advanced",
    });
    child.send({ handle, bytes: 64, library: cudaLibrary });
    const [answer] = (await once(child, "message")) as [{ bytes?: Uint8Array; error?: string }];
    expect(answer).toEqual({ bytes: new Uint8Array(64).fill(7) });
    child.kill();
    memory.close();
  });

  it("times with events", async () => {
    const context = openCuda({ library: cudaLibrary }).context(0);
    const memory = context.allocate(64);
    const [before, after] = [context.createEvent(), context.createEvent()];
    const stream = context.createStream();
    before.record(stream);
    context.fill(memory, 1, { stream });
    after.record(stream);
    await stream.synchronize();
    expect(after.since(before)).toBeCloseTo(1.5);
    for (const each of [memory, before, after, stream]) each.close();
  });

  it("launches the KV kernels from the embedded PTX, loading it once", () => {
    process.env.FAKE_CUDA_LOG = log;
    writeFileSync(log, "");
    const context = openCuda({ library: cudaLibrary }).context(0);
    const table = context.allocate(64);
    const piece = context.allocate(16);
    context.copy(table, new Uint8Array(new BigUint64Array(4).fill(piece.address).buffer));
    for (let i = 0; i < 3; i += 1)
      context.launch("stator_copy_table", {
        grid: 4,
        block: 128,
        args: [table.address, table.address, 16n, 4],
      });
    expect(calls().filter((name) => name === "cuModuleLoadData").length).toBe(1);
    expect(calls().filter((name) => name === "cuLaunchKernel").length).toBe(3);
    table.close();
    piece.close();
  });

  it("turns driver failures into typed errors with the driver's own name", async () => {
    const cuda = openCuda({ library: cudaLibrary });
    const context = cuda.context(0);
    process.env.FAKE_CUDA_FAIL = "cuMemAlloc_v2=2,cuStreamSynchronize=719";
    const outOfMemory = (): unknown => context.allocate(10);
    expect(outOfMemory).toThrow(
      expect.objectContaining({
        code: "CUDA_OUT_OF_MEMORY",
        kind: "overloaded",
        data: { driverCode: "CUDA_ERROR_OUT_OF_MEMORY", result: 2 },
      }),
    );
    const stream = context.createStream();
    await expect(stream.synchronize()).rejects.toMatchObject({
      code: "CUDA_DRIVER_FAILED",
      data: { result: 719 },
    });
    process.env.FAKE_CUDA_FAIL = "cuInit=100";
    expect(isCudaAvailable({ library: cudaLibrary })).toMatchObject({ isAvailable: false });
    process.env.FAKE_CUDA_FAIL = "";
    process.env.FAKE_CUDA_DEVICES = "0";
    expect(isCudaAvailable({ library: cudaLibrary })).toMatchObject({
      isAvailable: false,
      reason: expect.stringContaining("no device") as string,
    });
    stream.close();
  });

  it("leaks nothing when memory for sharing cannot be mapped", () => {
    const context = openCuda({ library: cudaLibrary }).context(0);
    for (const call of ["cuMemAddressReserve", "cuMemMap", "cuMemSetAccess"]) {
      process.env.FAKE_CUDA_LOG = log;
      writeFileSync(log, "");
      process.env.FAKE_CUDA_FAIL = `${call}=2`;
      expect(() => context.allocateShareable(100, ["fd"])).toThrow(
        expect.objectContaining({ code: "CUDA_OUT_OF_MEMORY" }),
      );
      const made = calls();
      expect(made.filter((name) => name === "cuMemRelease")).toHaveLength(1);
      expect(made.includes("cuMemAddressFree")).toBe(call !== "cuMemAddressReserve");
      expect(made.includes("cuMemUnmap")).toBe(call === "cuMemSetAccess");
    }
    process.env.FAKE_CUDA_FAIL = "";
    const memory = context.allocateShareable(100, ["fabric"]);
    expect(memory.bytes).toBe(2 ** 21);
    context.fill(memory, 8);
    const opened = context.openShareable(memory.fabricHandle(), memory.bytes);
    memory.close();
    const back = new Uint8Array(4);
    context.copy(back, opened);
    expect([...back]).toEqual([8, 8, 8, 8]);
    opened.close();
    expect(() => context.allocateShareable(100, [])).toThrow(
      expect.objectContaining({ code: "CUDA_INVALID" }),
    );
  });

  it("lets a stream be closed while it is waited for, and reports what an event's work failed with", async () => {
    const context = openCuda({ library: cudaLibrary }).context(0);
    process.env.FAKE_CUDA_LOG = log;
    writeFileSync(log, "");
    const stream = context.createStream();
    const waits = Array.from({ length: 20 }, () => stream.synchronize());
    stream.close();
    await Promise.all(waits);
    await expect(stream.synchronize()).rejects.toMatchObject({ code: "CUDA_CLOSED" });
    const until = performance.now() + 10_000;
    while (!calls().includes("cuStreamDestroy_v2") && performance.now() < until)
      await new Promise((resolve) => setImmediate(resolve));
    expect(calls().lastIndexOf("cuStreamSynchronize")).toBeLessThan(calls().indexOf("cuStreamDestroy_v2"));
    process.env.FAKE_CUDA_FAIL = "cuEventSynchronize=700";
    const event = context.createEvent();
    event.record();
    await expect(event.done()).rejects.toMatchObject({ code: "CUDA_DRIVER_FAILED", data: { result: 700 } });
    event.close();
  });

  it("work without a stream is done when its call returns", () => {
    const context = openCuda({ library: cudaLibrary }).context(0);
    const memory = context.allocate(64);
    process.env.FAKE_CUDA_LOG = log;
    writeFileSync(log, "");
    context.copy(memory, new Uint8Array(64));
    context.fill(memory, 1);
    expect(calls().filter((name) => name === "cuStreamSynchronize")).toHaveLength(2);
    memory.close();
  });

  it("refuses ranges outside memory and closed handles before the driver sees them", () => {
    const context = openCuda({ library: cudaLibrary }).context(0);
    const memory = context.allocate(100);
    for (const range of [
      { targetOffset: 1, bytes: 100 },
      { targetOffset: -1, bytes: 1 },
      { bytes: 0 },
      { targetOffset: Number.NaN, bytes: 1 },
    ])
      expect(() => context.copy(memory, new Uint8Array(1000), range)).toThrow(
        expect.objectContaining({ code: "CUDA_INVALID" }),
      );
    memory.close();
    memory.close();
    expect(() => context.fill(memory, 1)).toThrow(expect.objectContaining({ code: "CUDA_CLOSED" }));
    expect(() => context.allocate(0)).toThrow(CudaError);
  });

  it("frees what nobody closed when it is collected", async () => {
    if (globalThis.gc === undefined) {
      const { setFlagsFromString } = await import("node:v8");
      const { runInNewContext } = await import("node:vm");
      setFlagsFromString("--expose-gc");
      globalThis.gc = runInNewContext("gc") as NodeJS.GCFunction;
    }
    process.env.FAKE_CUDA_LOG = log;
    writeFileSync(log, "");
    const context = openCuda({ library: cudaLibrary }).context(0);
    (() => {
      for (let i = 0; i < 10; i += 1) context.allocate(1000);
    })();
    const until = performance.now() + 10_000;
    while (calls().filter((name) => name === "cuMemFree_v2").length < 10 && performance.now() < until) {
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(calls().filter((name) => name === "cuMemFree_v2").length).toBe(10);
  });

  it("ends cleanly in a worker thread and in a process that closed nothing", () => {
    const script = `
      const { Worker } = require("node:worker_threads");
      const body = 'const addon = require(process.argv[1] ?? require("node:worker_threads").workerData.addon); const cuda = new addon.Cuda((require("node:worker_threads").workerData ?? { library: process.argv[2] }).library); const c = cuda.retain(0); addon.allocate(c, 100); addon.pinned(c, 100); addon.createStream(c);';
      const [addon, library] = process.argv.slice(1);
      const worker = new Worker(body.replace("process.argv[1] ??", ""), { eval: true, workerData: { addon, library } });
      worker.on("error", (e) => { console.error(e); process.exit(3); });
      worker.on("exit", () => { const a = require(addon); const cuda = new a.Cuda(library); const c = cuda.retain(0); a.allocate(c, 100); a.synchronize(a.createStream(c), () => undefined); });
    `;
    const path = fileURLToPath(new URL("../native/build/stator_cuda.node", import.meta.url));
    const { status, stderr, signal } = spawnSync(process.execPath, ["-e", script, path, cudaLibrary], {
      encoding: "utf8",
    });
    expect({ status, stderr, signal }).toEqual({ status: 0, stderr: "", signal: null });
  });

  it("NVML: reads every figure, and undefined where a device has none", () => {
    const nvml = openNvml({ library: nvmlLibrary });
    expect(nvml.driverVersion).toBe("550.54.15");
    const [rich, poor] = nvml.devices();
    expect(rich?.uuid).toBe("GPU-fake-0");
    expect(rich?.utilization()).toEqual({ gpu: 87, memory: 41 });
    expect([rich?.powerMilliwatts(), rich?.powerLimitMilliwatts(), rich?.energyMillijoules()]).toEqual([
      612345, 700000, 9876543210,
    ]);
    expect(rich?.memory()).toEqual({ usedBytes: 50 * 2 ** 30, totalBytes: 80 * 2 ** 30 });
    expect([rich?.temperatureCelsius(), rich?.smClockMegahertz()]).toEqual([61, 1980]);
    expect(rich?.pcieKilobytesPerSecond()).toEqual({ transmit: 1000, receive: 2000 });
    expect(rich?.nvlink()).toEqual([
      {
        link: 0,
        isActive: true,
        transmitKib: 138_000,
        receiveKib: 139_000,
        remotePciBusId: "00000000:03:00.0",
      },
      { link: 1, isActive: false },
    ]);
    expect([poor?.energyMillijoules(), poor?.powerLimitMilliwatts(), poor?.pcieKilobytesPerSecond()]).toEqual(
      [undefined, undefined, undefined],
    );
    expect(poor?.nvlink()).toEqual([]);
    process.env.FAKE_NVML_FAIL = "nvmlDeviceGetPowerUsage=999";
    expect(() => rich?.powerMilliwatts()).toThrow(expect.objectContaining({ code: "NVML_FAILED" }));
    nvml.close();
    expect(() => rich?.powerMilliwatts()).toThrow(expect.objectContaining({ code: "CUDA_CLOSED" }));
  });

  it("NVML: tells of an XID, and closing ends the watching thread", async () => {
    process.env.FAKE_NVML_XID = "79";
    const nvml = openNvml({ library: nvmlLibrary });
    const awake = setInterval(() => undefined, 100);
    const event = await new Promise((resolve) => {
      expect(nvml.watchXid(resolve)).toBe(true);
    });
    clearInterval(awake);
    expect(event).toEqual({ index: 0, xid: 79 });
    nvml.close();
    expect(() => openNvml({ library: "/nowhere/libnvidia-ml.so.1" })).toThrow(
      expect.objectContaining({ code: "NVML_UNAVAILABLE" }),
    );
  });
});
