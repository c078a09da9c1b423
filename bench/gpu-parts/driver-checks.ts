// The driver's objects: streams, events, pools, memory that other processes open, errors, NVML.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { openNvml } from "@stator/cuda-bindings";
import type { Check, GpuWorkbench } from "./workbench.ts";

export function driverChecks({
  context,
  library,
  random,
  upload,
  download,
  same,
}: GpuWorkbench): Readonly<Record<string, Check>> {
  return {
    "streams and events resolve in order": async () => {
      const [one, two] = [context.createStream(), context.createStream()];
      const [ready, done] = [context.createEvent(), context.createEvent()];
      const memory = context.allocate(1 << 20);
      context.fill(memory, 3, { stream: one });
      ready.record(one);
      two.wait(ready);
      const host = context.pinned(1 << 20);
      context.copy(host, memory, { stream: two });
      done.record(two);
      await done.done();
      await one.synchronize();
      if (!done.isDone || !two.isIdle) throw new Error("a stream is not idle after its last event");
      if (host.some((byte) => byte !== 3)) throw new Error("the copy overtook the fill");
      for (const each of [one, two, ready, done, memory]) each.close();
      return undefined;
    },
    "pool memory in the order of a stream": async () => {
      if (!context.device.hasPools) return "the device has no pools";
      const stream = context.createStream();
      const memory = context.allocatePooled(1 << 16, stream);
      context.fill(memory, 9, { stream });
      const back = new Uint8Array(1 << 16);
      context.copy(back, memory, { stream });
      await stream.synchronize();
      if (back.some((byte) => byte !== 9)) throw new Error("other bytes came back");
      memory.close();
      stream.close();
      return undefined;
    },
    "mapped memory by file descriptor, and typed refusal of plain memory": () => {
      const plain = context.allocate(16);
      let refused = false;
      try {
        plain.fileDescriptor();
      } catch (error) {
        refused = (error as { code?: string }).code === "CUDA_INVALID";
      }
      plain.close();
      if (!refused) throw new Error("plain memory gave a descriptor");
      if (!context.device.hasFdHandles) return Promise.resolve("the device has no such handles");
      const memory = context.allocateShareable(1 << 20, ["fd"]);
      context.fill(memory, 5);
      const opened = context.openShareable(memory.fileDescriptor(), memory.bytes);
      memory.close();
      const back = new Uint8Array(100);
      context.copy(back, opened, { bytes: 100, sourceOffset: opened.bytes - 100 });
      opened.close();
      if (back.some((byte) => byte !== 5)) throw new Error("other bytes came back");
      return Promise.resolve(undefined);
    },
    "another process reads memory by its IPC handle": async () => {
      const memory = upload(random(1 << 16));
      const child = fork(
        fileURLToPath(new URL("../../packages/cuda-bindings/test/gpu-peer.ts", import.meta.url)),
        {
          execArgv: ["--import", "tsx", "--conditions=@stator/source"],
          serialization: "advanced",
        },
      );
      try {
        child.send({
          handle: memory.ipcHandle(),
          bytes: memory.bytes,
          ...(library === undefined ? {} : { library }),
        });
        const [answer] = (await once(child, "message", { signal: AbortSignal.timeout(60_000) })) as [
          { bytes?: Uint8Array; error?: string },
        ];
        if (answer.bytes === undefined) throw new Error(answer.error);
        same(new Uint8Array(answer.bytes), download(memory), "the other process");
      } finally {
        child.kill();
        memory.close();
      }
      return undefined;
    },
    "an allocation that cannot be is a typed error": () => {
      try {
        context.allocate(2 ** 50).close();
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === "CUDA_OUT_OF_MEMORY") return Promise.resolve(undefined);
        throw error;
      }
      if (library !== undefined) return Promise.resolve("the fake driver gave it");
      throw new Error("2^50 bytes were allocated");
    },
    "NVML sees the device": () => {
      if (library !== undefined) return Promise.resolve("needs a real driver");
      const nvml = openNvml();
      const device = nvml.devices().find(({ uuid }) => uuid === context.device.uuid);
      if (device === undefined) throw new Error(`NVML does not know ${context.device.uuid}`);
      const detail = `${device.name}: ${device.powerMilliwatts()} mW, ${device.memory()?.totalBytes} bytes, ${device.nvlink().filter(({ isActive }) => isActive).length} NVLinks`;
      nvml.close();
      return Promise.resolve(detail);
    },
  };
}
