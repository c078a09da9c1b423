// KV transfer against memcpy: per transport and size, cold memory (working set far above L3), huge-page advised, both interleaved in this process.
// `npm run bench -- transfer --json`; `--only shm,tcp` picks transports, `--quick` measures 20 pairs instead of 40.
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import {
  cma,
  createAgent,
  describePacked,
  loadTransferAddon,
  loopback,
  type Region,
  type RemoteRegion,
  sharedMemory,
  tcp,
  type Transfer,
  type Transport,
  ucx,
} from "@stator/kv-transfer";
import { spawnPeer } from "@stator/kv-transfer/testing";
import { measureLoopbackLimit } from "./parts/loopback-limit.ts";

/** One line of the result. `ratioToMemcpy` is the median over pairs of memcpy time over transfer time for the same pieces. */
export interface TransferResult {
  readonly transport: string;
  readonly op: "get" | "put";
  /** Bytes of one piece. */
  readonly bytes: number;
  /** Pieces of one transfer. */
  readonly pieces: number;
  readonly ratioToMemcpy: number;
  readonly gigabytesPerSecond: number;
  readonly p50Us: number;
  readonly memcpyGigabytesPerSecond: number;
}

const arena = 192 * 1024 * 1024;
const cases: readonly { readonly bytes: number; readonly pieces: number }[] = [
  { bytes: 4096, pieces: 1 },
  { bytes: 4096, pieces: 1024 },
  { bytes: 4096, pieces: 10_240 },
  { bytes: 65_536, pieces: 1 },
  { bytes: 65_536, pieces: 64 },
  { bytes: 1_048_576, pieces: 1 },
  { bytes: 16_777_216, pieces: 1 },
];

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] as number;

/** Distinct piece offsets in a scattered order that repeats only after the whole arena. */
function scattered(bytes: number, pieces: number, salt: number): Float64Array {
  const slots = Math.floor(arena / bytes);
  let step = Math.floor(slots * 0.618) | 1;
  while (gcd(step, slots) !== 1) step += 2;
  return Float64Array.from({ length: pieces }, (_, i) => ((salt * 31 + i * step) % slots) * bytes);
}
const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

interface Memcpy {
  run(from: Float64Array, to: Float64Array, bytes: number): void;
}

function memcpyBaseline(): Memcpy {
  const native = loadTransferAddon();
  if (!native.isAvailable) {
    const source = Buffer.alloc(arena, 1);
    const target = Buffer.alloc(arena, 2);
    return {
      run(from, to, bytes) {
        for (let i = 0; i < from.length; i += 1)
          source.copy(target, to[i], from[i] as number, (from[i] as number) + bytes);
      },
    };
  }
  const { addon } = native;
  const source = new Uint8Array(addon.hugeAllocate(arena)).fill(1);
  const target = new Uint8Array(addon.hugeAllocate(arena)).fill(2);
  const zeros = new Uint32Array(10_240);
  const ones = new Uint32Array(10_240).fill(1);
  const sizes = new Map<number, Float64Array>();
  return {
    run(from, to, bytes) {
      let size = sizes.get(bytes);
      if (size === undefined) sizes.set(bytes, (size = new Float64Array(10_240).fill(bytes)));
      addon.memcpyRuns(
        {
          runs: from.length,
          localRegion: zeros,
          localOffset: to,
          localStride: size,
          remoteRegion: zeros,
          remoteOffset: from,
          remoteStride: size,
          pieceBytes: size,
          pieces: ones,
        },
        [target],
        [source],
      );
    },
  };
}

async function measureTransport(
  name: string,
  transport: () => Transport,
  exportName: string | undefined,
  options: unknown,
  pairs: number,
  memcpy: Memcpy,
): Promise<TransferResult[]> {
  const initiator = await createAgent({ transports: [transport()] });
  const child = exportName === undefined ? undefined : await spawnPeer();
  const twin = child === undefined ? await createAgent({ transports: [transport()] }) : undefined;
  const results: TransferResult[] = [];
  try {
    let blob: Uint8Array;
    let remoteId: number;
    if (child !== undefined) {
      const module = fileURLToPath(import.meta.resolve("@stator/kv-transfer"));
      await child.call({
        do: "open",
        name: "bench-peer",
        module,
        transports: [
          options === undefined
            ? { export: exportName as string }
            : { export: exportName as string, options },
        ],
      });
      remoteId = (await child.call({ do: "allocate", bytes: arena, fill: 1 })) as number;
      blob = Buffer.from((await child.call({ do: "metadata" })) as string, "base64");
    } else {
      const there = await (twin as NonNullable<typeof twin>).allocate({ bytes: arena });
      remoteId = there.id;
      blob = (twin as NonNullable<typeof twin>).exportMetadata();
    }
    const peer = initiator.importMetadata(blob);
    const remote: RemoteRegion = peer.region(remoteId);
    const native = loadTransferAddon();
    const here: Region = initiator.register(
      native.isAvailable ? new Uint8Array(native.addon.hugeAllocate(arena)).fill(3) : Buffer.alloc(arena, 3),
    );
    for (const op of ["get", "put"] as const)
      for (const { bytes, pieces } of cases) {
        // As many prepared transfers as cover the arena: each run finds its memory cold.
        const count = Math.max(2, Math.min(512, Math.floor(arena / (bytes * pieces))));
        const plans = Array.from({ length: count }, (_, i) => ({
          from: scattered(bytes, pieces, i * pieces),
          to: scattered(bytes, pieces, i * pieces + 7),
        }));
        const transfers: Transfer[] = plans.map(({ from, to }) =>
          initiator.createTransfer({
            operation: op === "get" ? "read" : "write",
            peer,
            local: describePacked(here, op === "get" ? to : from, bytes),
            remote: describePacked(remote, op === "get" ? from : to, bytes),
          }),
        );
        // A batch's first post also makes its plan, in either operation the same; what is measured is the transfer that is ready.
        for (const transfer of transfers) if (transfer.post() !== "done") await transfer.completion;
        const perSample = Math.max(1, Math.min(count, Math.floor((2 * 1024 * 1024) / (bytes * pieces))));
        const ratios: number[] = [];
        const micros: number[] = [];
        const baseline: number[] = [];
        let at = 0;
        const runTransfers = async (): Promise<number> => {
          const start = performance.now();
          for (let i = 0; i < perSample; i += 1) {
            const transfer = transfers[(at + i) % count] as Transfer;
            if (transfer.post() !== "done") await transfer.completion;
          }
          return performance.now() - start;
        };
        const runMemcpy = (): number => {
          const start = performance.now();
          for (let i = 0; i < perSample; i += 1) {
            const plan = plans[(at + i) % count] as (typeof plans)[number];
            memcpy.run(plan.from, plan.to, bytes);
          }
          return performance.now() - start;
        };
        for (let pair = -3; pair < pairs; pair += 1) {
          const isMemcpyFirst = pair % 2 === 0;
          const first = isMemcpyFirst ? runMemcpy() : await runTransfers();
          const second = isMemcpyFirst ? await runTransfers() : runMemcpy();
          at += perSample;
          if (pair < 0) continue;
          const [copied, moved] = isMemcpyFirst ? [first, second] : [second, first];
          ratios.push(copied / moved);
          micros.push((moved * 1000) / perSample);
          baseline.push((copied * 1000) / perSample);
        }
        const p50Us = median(micros);
        results.push({
          transport: name,
          op,
          bytes,
          pieces,
          ratioToMemcpy: Number(median(ratios).toFixed(3)),
          gigabytesPerSecond: Number(((bytes * pieces) / p50Us / 1000).toFixed(2)),
          p50Us: Number(p50Us.toFixed(1)),
          memcpyGigabytesPerSecond: Number(((bytes * pieces) / median(baseline) / 1000).toFixed(2)),
        });
        await Promise.all(transfers.map((transfer) => transfer.release()));
      }
  } finally {
    await initiator.close();
    await twin?.close();
    await child?.close();
  }
  return results;
}

/** Microseconds of `createTransfer` and `post` per strided descriptor: what a 10,000-block pull costs before a byte moves. */
async function measurePost(): Promise<{
  readonly descriptors: number;
  readonly microsPerDescriptor: number;
}> {
  const descriptors = 18_880;
  const a = await createAgent({ transports: [loopback()] });
  const b = await createAgent({ transports: [loopback()] });
  const there = b.register(new Uint8Array(descriptors * 64));
  const here = a.register(new Uint8Array(descriptors * 64));
  const peer = a.importMetadata(b.exportMetadata());
  const remote = peer.region(there.id);
  const offsets = Float64Array.from({ length: descriptors }, (_, i) => ((i * 7) % descriptors) * 64);
  const { describe } = await import("@stator/kv-transfer");
  const strided = (region: Region | RemoteRegion) =>
    describe(
      region,
      Array.from(offsets, (offset) => ({ offset, bytes: 1, stride: 2, count: 4 })),
    );
  const local = strided(here);
  const far = strided(remote);
  const samples: number[] = [];
  for (let i = 0; i < 40; i += 1) {
    const start = performance.now();
    a.createTransfer({ operation: "read", peer, local, remote: far });
    samples.push(((performance.now() - start) * 1000) / descriptors);
  }
  await a.close();
  await b.close();
  return { descriptors, microsPerDescriptor: Number(median(samples).toFixed(4)) };
}

/** Milliseconds from SIGKILL of the peer process to `onLost` here. */
async function measureDeath(
  name: string,
  transport: () => Transport,
  exportName: string,
): Promise<{ readonly transport: string; readonly p50Ms: number }> {
  const samples: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const initiator = await createAgent({ transports: [transport()] });
    const child = await spawnPeer();
    await child.call({
      do: "open",
      name: "victim",
      module: fileURLToPath(import.meta.resolve("@stator/kv-transfer")),
      transports: [{ export: exportName }],
    });
    const peer = initiator.importMetadata(
      Buffer.from((await child.call({ do: "metadata" })) as string, "base64"),
    );
    await peer.notify("hello");
    // The library's timers keep no process alive; this one does while we wait.
    const awake = setInterval(() => undefined, 1000);
    const lost = new Promise<void>((resolve) => peer.onLost(() => resolve()));
    const start = performance.now();
    child.signal("SIGKILL");
    await lost;
    samples.push(performance.now() - start);
    clearInterval(awake);
    await child.close();
    await initiator.close();
  }
  return { transport: name, p50Ms: Number(median(samples).toFixed(1)) };
}

async function isUcxThere(): Promise<boolean> {
  try {
    await (await createAgent({ transports: [ucx()] })).close();
    return true;
  } catch {
    return false;
  }
}

export async function run(args: readonly string[]): Promise<unknown> {
  const only = args.includes("--only") ? (args[args.indexOf("--only") + 1] ?? "").split(",") : undefined;
  const pairs = args.includes("--quick") ? 20 : 40;
  const native = loadTransferAddon();
  const candidates: readonly (readonly [string, () => Transport, string | undefined, unknown])[] = [
    ["loopback", () => loopback(), undefined, undefined],
    ["tcp-typescript", () => tcp({ dataPath: "typescript" }), "tcp", { dataPath: "typescript" }],
    ["shm-files", () => sharedMemory({ backing: "files" }), "sharedMemory", { backing: "files" }],
    ...(native.isAvailable
      ? ([
          ["tcp", () => tcp(), "tcp", undefined],
          ["shm", () => sharedMemory(), "sharedMemory", undefined],
          ["cma", () => cma(), "cma", undefined],
          ...((await isUcxThere()) ? [["ucx", () => ucx(), "ucx", undefined] as const] : []),
        ] as const)
      : []),
  ];
  // Others on the same cores take from both sides of a pair, but more from what needs two processes.
  const loadAverage = Number((loadavg()[0] as number).toFixed(1));
  const memcpy = memcpyBaseline();
  const transfers: TransferResult[] = [];
  for (const [name, transport, exportName, options] of candidates)
    if (only === undefined || only.includes(name))
      transfers.push(...(await measureTransport(name, transport, exportName, options, pairs, memcpy)));
  const deaths = [];
  for (const [name, transport, exportName, options] of candidates)
    if (exportName !== undefined && options === undefined && (only === undefined || only.includes(name)))
      deaths.push(await measureDeath(name, transport, exportName));
  return {
    native: native.isAvailable ? "addon" : native.reason,
    loadAverage,
    pairs,
    transfers,
    // Of the same minute: what a request of these sizes takes in plain C over the same network stack.
    loopbackLimit: measureLoopbackLimit([4096, 65_536, 1_048_576]),
    post: await measurePost(),
    peerDeath: deaths,
  };
}
