// All that needs a GPU, in one run: each kernel against the host oracle, sharing between processes, and how fast bytes move, each figure as a share of
// the driver's own copy of the same bytes on the same device. `npm run gpu-check` runs it and keeps the result.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  isCudaAvailable,
  openCuda,
  openNvml,
  type CudaContext,
  type CudaMemory,
  type CudaStream,
} from "@stator/cuda-bindings";
import {
  bf16ToFp8,
  checksum,
  fp8ToBf16,
  permute,
  regroup,
  type KernelRun,
  type PermuteShape,
} from "../packages/cuda-bindings/src/kernels/reference-kernels.ts";

export interface GpuReport {
  readonly device: string;
  readonly driverVersion: number;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[];
  readonly figures: readonly Figure[];
  readonly ok: boolean;
}

interface Figure {
  readonly name: string;
  readonly pieceBytes: number;
  readonly gigabytesPerSecond: number;
  /** Share of the driver's one large copy, measured in between. */
  readonly ratio: number;
  readonly aim: number;
  readonly reached: boolean;
}

export interface GpuOptions {
  /** The driver. Default: the system's. */
  readonly library?: string;
  /** Bytes moved per measurement. Default 1 GiB. */
  readonly bytes?: number;
  /** Pairs of measurement and baseline. Default 20. */
  readonly rounds?: number;
}

/** `npm run bench -- gpu`. */
export function run(): Promise<GpuReport | { readonly skipped: string }> {
  return checkGpu();
}

export async function checkGpu(options: GpuOptions = {}): Promise<GpuReport | { readonly skipped: string }> {
  const library = options.library === undefined ? {} : { library: options.library };
  const availability = isCudaAvailable(library);
  if (!availability.isAvailable) return { skipped: availability.reason };
  const cuda = openCuda(library);
  const context = cuda.context(0);
  const checks: { name: string; ok: boolean; detail?: string }[] = [];
  for (const [name, check] of Object.entries(checksOf(context, options.library))) {
    try {
      const detail = await check();
      checks.push({ name, ok: true, ...(detail === undefined ? {} : { detail }) });
    } catch (error) {
      checks.push({ name, ok: false, detail: error instanceof Error ? error.message : String(error) });
    }
  }
  const figures = await measure(context, options.bytes ?? 2 ** 30, options.rounds ?? 20);
  return {
    device: context.device.name,
    driverVersion: cuda.driverVersion,
    checks,
    figures,
    ok: checks.every(({ ok }) => ok) && figures.every(({ reached }) => reached),
  };
}

type Check = () => Promise<string | undefined>;

function checksOf(context: CudaContext, library: string | undefined): Record<string, Check> {
  const random = createRandom(7);
  const grid = context.device.multiprocessors * 4;
  const upload = (bytes: ArrayBufferView): CudaMemory => {
    const memory = context.allocate(bytes.byteLength);
    context.copy(memory, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return memory;
  };
  const download = (memory: CudaMemory): Uint8Array => {
    const bytes = new Uint8Array(memory.bytes);
    context.copy(bytes, memory);
    return bytes;
  };
  const same = (got: Uint8Array, wanted: Uint8Array, what: string): void => {
    const at = got.findIndex((byte, i) => byte !== wanted[i]);
    if (at >= 0 || got.length !== wanted.length)
      throw new Error(`${what}: byte ${at} is ${got[at]} and should be ${wanted[at]}`);
  };
  const launch = (kernel: string, args: readonly (number | bigint)[]): void =>
    context.launch(kernel, { grid, block: 256, args });

  return {
    "copy table: every piece length and alignment": () => {
      for (const bytes of [1, 4, 16, 100, 256, 4_096, 8_192, 8_208, 20_000, 65_536])
        for (const shift of [0, 4, 1]) {
          const pieces = 37;
          const stride = bytes + 48;
          const source = random(stride * pieces + 64);
          const from = upload(source);
          const to = upload(new Uint8Array(source.length));
          const order = Array.from({ length: pieces }, (_, i) => (i * 11) % pieces);
          const table = (memory: CudaMemory, places: readonly number[], by: number): CudaMemory =>
            upload(BigUint64Array.from(places, (place) => memory.address + BigInt(place * stride + by)));
          const [targets, sources] = [table(to, [...order.keys()], shift), table(from, order, 0)];
          launch("stator_copy_table", [targets.address, sources.address, BigInt(bytes), pieces]);
          const wanted = new Uint8Array(source.length);
          order.forEach((place, i) =>
            wanted.set(source.subarray(place * stride, place * stride + bytes), i * stride + shift),
          );
          same(download(to), wanted, `${bytes} bytes shifted by ${shift}`);
          for (const each of [from, to, targets, sources]) each.close();
        }
      return Promise.resolve(undefined);
    },
    "regroup: heads split and blocks merged": () => {
      const source = random(1 << 20);
      const runs: KernelRun[] = Array.from({ length: 64 }, (_, r) => ({
        source: r * 16_384,
        target: ((r * 5) % 64) * 8_192,
        bytes: r % 3 === 0 ? 256 : r % 3 === 1 ? 252 : 33,
        sourceStride: 1_024,
        targetStride: 512,
        count: 1 + (r % 16),
      }));
      const firsts = new BigUint64Array(runs.length + 1);
      runs.forEach(({ count }, r) => (firsts[r + 1] = firsts[r]! + BigInt(count)));
      const words = BigUint64Array.from(
        runs.flatMap((r) => [r.source, r.target, r.bytes, r.sourceStride, r.targetStride, r.count]),
        BigInt,
      );
      const wanted = new Uint8Array(1 << 19);
      const [from, to] = [upload(source), upload(wanted)];
      const [list, places] = [upload(words), upload(firsts)];
      launch("stator_regroup", [to.address, from.address, list.address, places.address, runs.length]);
      regroup(wanted, source, runs);
      same(download(to), wanted, "regroup");
      for (const each of [from, to, list, places]) each.close();
      return Promise.resolve(undefined);
    },
    "permute: NHD to HND and back, block to universal": () => {
      for (const vectorBytes of [256, 128, 36])
        for (const [tokens, heads, layers] of [
          [16, 8, 3],
          [64, 1, 2],
          [7, 3, 5],
        ] as const) {
          const blocks = 5;
          const [nhd, hnd] = [
            [layers * tokens * heads, tokens * heads, 1, heads],
            [layers * tokens * heads, tokens * heads, tokens, 1],
          ] as const;
          const universal = [tokens, blocks * tokens, layers * blocks * tokens, 1] as const;
          const extents = [blocks, layers, heads, tokens] as const;
          const bytes = blocks * layers * heads * tokens * vectorBytes;
          const scaled = (
            strides: readonly [number, number, number, number],
          ): [number, number, number, number] =>
            strides.map((stride) => stride * vectorBytes) as [number, number, number, number];
          for (const [one, other] of [
            [nhd, hnd],
            [hnd, nhd],
            [nhd, universal],
            [universal, hnd],
          ] as const) {
            const shape: PermuteShape = {
              extents,
              sourceStrides: scaled(one),
              targetStrides: scaled(other),
              vectorBytes,
            };
            const source = random(bytes);
            const wanted = new Uint8Array(bytes);
            const [from, to] = [upload(source), upload(wanted)];
            const words = upload(
              BigUint64Array.from(
                [...extents, ...shape.sourceStrides, ...shape.targetStrides, vectorBytes],
                BigInt,
              ),
            );
            launch("stator_permute", [to.address, from.address, words.address]);
            permute(wanted, source, shape);
            same(download(to), wanted, `permute of ${vectorBytes} byte vectors`);
            for (const each of [from, to, words]) each.close();
          }
        }
      return Promise.resolve(undefined);
    },
    "FP8 and BF16: every number, with scales": () => {
      const group = 128;
      const codes = Uint8Array.from({ length: 4_096 }, (_, i) => i & 255);
      const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
      const scalesFor = (values: number): Float32Array =>
        Float32Array.from({ length: values / group }, (_, i) => Math.fround(0.001 * 1.7 ** (i % 29)));
      const [up, down] = [scalesFor(codes.length), scalesFor(halves.length)];
      const wantedUp = fp8ToBf16(codes, up, group);
      const wantedDown = bf16ToFp8(halves, down, group);
      const memory = [
        upload(codes),
        upload(up),
        upload(wantedUp.map(() => 0)),
        upload(halves),
        upload(down),
        upload(wantedDown.map(() => 0)),
      ] as const;
      const [a, b, c, d, e, f] = memory;
      launch("stator_fp8_to_bf16", [c.address, a.address, b.address, BigInt(codes.length), BigInt(group)]);
      launch("stator_bf16_to_fp8", [f.address, d.address, e.address, BigInt(halves.length), BigInt(group)]);
      same(withoutNan(download(c)), withoutNan(new Uint8Array(wantedUp.buffer)), "FP8 to BF16");
      same(download(f), wantedDown, "BF16 to FP8");
      for (const each of memory) each.close();
      return Promise.resolve(undefined);
    },
    "checksum: short, long and empty tails": () => {
      for (const words of [1, 31, 2_048, 2_049, 40_000]) {
        const count = 9;
        const data = random(words * 4 * count);
        const from = upload(data);
        const pieces = upload(
          BigUint64Array.from({ length: count }, (_, i) => from.address + BigInt(i * words * 4)),
        );
        const sums = upload(new Uint32Array(count));
        launch("stator_checksum", [sums.address, pieces.address, BigInt(words), count]);
        const got = new Uint32Array(download(sums).buffer);
        for (let i = 0; i < count; i++) {
          const wanted = checksum(new Uint32Array(data.slice(i * words * 4, (i + 1) * words * 4).buffer));
          if (got[i] !== wanted) throw new Error(`piece ${i} of ${words} words: ${got[i]} is not ${wanted}`);
        }
        for (const each of [from, pieces, sums]) each.close();
      }
      return Promise.resolve(undefined);
    },
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
      if (library !== undefined) return "needs a real driver";
      const memory = upload(random(1 << 16));
      const child = fork(
        fileURLToPath(new URL("../packages/cuda-bindings/test/gpu-peer.ts", import.meta.url)),
        {
          execArgv: ["--import", "tsx", "--conditions=@stator/source"],
          serialization: "advanced",
        },
      );
      try {
        child.send({ handle: memory.ipcHandle(), bytes: memory.bytes });
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

/** All BF16 NaNs as one: their payload is not a promise. */
function withoutNan(bytes: Uint8Array): Uint8Array {
  const codes = new Uint16Array(bytes.slice().buffer);
  return new Uint8Array(codes.map((code) => ((code & 0x7fff) > 0x7f80 ? 0x7fc0 : code)).buffer);
}

function createRandom(seed: number): (bytes: number) => Uint8Array {
  let state = seed >>> 0;
  return (bytes) =>
    Uint8Array.from({ length: bytes }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24);
}

async function measure(context: CudaContext, bytes: number, rounds: number): Promise<Figure[]> {
  const stream = context.createStream();
  const [from, to] = [context.createEvent(), context.createEvent()];
  const timed = async (work: () => void): Promise<number> => {
    from.record(stream);
    work();
    to.record(stream);
    await stream.synchronize();
    return to.since(from);
  };
  /** Median of the paired ratios: the driver's copy and ours in turns. */
  const figure = async (
    name: string,
    pieceBytes: number,
    aim: number,
    ours: () => void,
    theirs: () => void,
  ): Promise<Figure> => {
    for (const work of [ours, theirs]) await timed(work);
    const [ratios, rates]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      const baseMs = await timed(theirs);
      const ms = await timed(ours);
      ratios.push(baseMs / ms);
      rates.push(bytes / ms / 1e6);
    }
    const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
    const ratio = Math.round(middle(ratios) * 1000) / 1000;
    return {
      name,
      pieceBytes,
      gigabytesPerSecond: Math.round(middle(rates)),
      ratio,
      aim,
      reached: ratio >= aim,
    };
  };
  const [source, target] = [context.allocate(bytes), context.allocate(bytes)];
  context.fill(source, 1);
  const figures: Figure[] = [];
  const oneCopy = (): void => context.copy(target, source, { stream });
  for (const [pieceBytes, aim] of [
    [1 << 20, 0.9],
    [65_536, 0.9],
    [4_096, 0.8],
  ] as const) {
    const pieces = Math.floor(bytes / pieceBytes);
    const table = (memory: CudaMemory, place: (i: number) => number): CudaMemory => {
      const addresses = BigUint64Array.from(
        { length: pieces },
        (_, i) => memory.address + BigInt(place(i) * pieceBytes),
      );
      const uploaded = context.allocate(addresses.byteLength);
      context.copy(uploaded, new Uint8Array(addresses.buffer));
      return uploaded;
    };
    // An odd factor visits every piece once, in no order.
    const scattered = (i: number): number => Number((BigInt(i) * 40_503n) % BigInt(pieces));
    const inOrder = (i: number): number => i;
    for (const [name, to, fro] of [
      ["gather", inOrder, scattered],
      ["scatter", scattered, inOrder],
    ] as const) {
      const [targets, sources] = [table(target, to), table(source, fro)];
      const args = [targets.address, sources.address, BigInt(pieceBytes), pieces];
      const grid = context.device.multiprocessors * 8;
      const kernel = (): void => context.launch("stator_copy_table", { grid, block: 256, args, stream });
      figures.push(await figure(`device ${name}`, pieceBytes, aim, kernel, oneCopy));
      targets.close();
      sources.close();
    }
  }
  figures.push(...(await hostFigures(context, stream, source, bytes, figure)));
  for (const each of [source, target, from, to, stream]) each.close();
  return figures;
}

/** Blocks between pinned host memory and the device, against one large copy of the same. */
async function hostFigures(
  context: CudaContext,
  stream: CudaStream,
  memory: CudaMemory,
  bytes: number,
  figure: (name: string, piece: number, aim: number, ours: () => void, theirs: () => void) => Promise<Figure>,
): Promise<Figure[]> {
  const host = context.pinned(bytes);
  const piece = Math.min(bytes, 8 << 20);
  const inPieces = (copy: (offset: number) => void) => (): void => {
    for (let at = 0; at + piece <= bytes; at += piece) copy(at);
  };
  const options = (at: number) => ({ targetOffset: at, sourceOffset: at, bytes: piece, stream });
  return [
    await figure(
      "host to device",
      piece,
      0.95,
      inPieces((at) => context.copy(memory, host, options(at))),
      () => context.copy(memory, host, { stream }),
    ),
    await figure(
      "device to host",
      piece,
      0.95,
      inPieces((at) => context.copy(host, memory, options(at))),
      () => context.copy(host, memory, { stream }),
    ),
  ];
}
