import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createAgent, describePacked, type PathExplanation } from "@stator/kv-transfer";
import { transportNamed, transportProblem } from "./transports.ts";

export interface TransferCase {
  /** Bytes of one piece. */
  readonly bytes: number;
  /** Pieces of one transfer. */
  readonly pieces: number;
}

/** One line of `stator transfer bench`. */
export interface TransferMeasure extends TransferCase {
  readonly transport: string;
  readonly operation: "read" | "write";
  readonly gigabytesPerSecond: number;
  /** Of one transfer. */
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** What `stator transfer explain` says of one transport on this machine. */
export interface TransportReport {
  readonly transport: string;
  readonly works: boolean;
  /** Why not. */
  readonly reason?: string;
  readonly explanation?: PathExplanation;
}

export interface MeasureOptions {
  readonly transports: readonly string[];
  readonly cases: readonly TransferCase[];
  /** Transfers of each case. Default 100. */
  readonly repeats?: number;
  readonly onProgress?: (done: number, all: number) => void;
}

const peerDeadlineMs = 20_000;

/** Moves memory between this process and another one, both ways, over each transport. */
export async function measureTransfers({
  transports,
  cases,
  repeats = 100,
  onProgress,
}: MeasureOptions): Promise<TransferMeasure[]> {
  const arena = Math.max(...cases.map(({ bytes, pieces }) => bytes * pieces));
  const results: TransferMeasure[] = [];
  let done = 0;
  for (const transport of transports) {
    await withPeer(transport, arena, async ({ agent, peer, local, remote }) => {
      for (const { bytes, pieces } of cases) {
        const offsets = Float64Array.from({ length: pieces }, (_, i) => i * bytes);
        const here = describePacked(local, offsets, bytes);
        const there = describePacked(remote, offsets, bytes);
        for (const operation of ["read", "write"] as const) {
          const micros: number[] = [];
          for (let i = 0; i < repeats + 5; i++) {
            const startMs = performance.now();
            await agent.transfer({ operation, peer, local: here, remote: there });
            if (i >= 5) micros.push((performance.now() - startMs) * 1000);
          }
          micros.sort((a, b) => a - b);
          const p50 = micros[micros.length >> 1]!;
          results.push({
            transport,
            operation,
            bytes,
            pieces,
            gigabytesPerSecond: round((bytes * pieces) / p50 / 1000),
            p50Micros: round(p50),
            p99Micros: round(micros[Math.floor(micros.length * 0.99)]!),
          });
          onProgress?.(++done, transports.length * cases.length * 2);
        }
      }
    });
  }
  return results;
}

/** Which transports work between two processes of this machine, and why the others do not. */
export async function explainTransports(names: readonly string[]): Promise<TransportReport[]> {
  const reports: TransportReport[] = [];
  for (const transport of names) {
    const reason = transportProblem(transport);
    if (reason !== undefined) {
      reports.push({ transport, works: false, reason });
      continue;
    }
    try {
      await withPeer(transport, 65_536, async ({ agent, peer, local, remote }) => {
        await agent.transfer({
          operation: "read",
          peer,
          local: describePacked(local, Float64Array.of(0), 4096),
          remote: describePacked(remote, Float64Array.of(0), 4096),
        });
        reports.push({ transport, works: true, explanation: agent.explain(peer, local, remote, 65_536) });
      });
    } catch (error) {
      reports.push({
        transport,
        works: false,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
  return reports;
}

type Agent = Awaited<ReturnType<typeof createAgent>>;
interface Pair {
  readonly agent: Agent;
  readonly peer: ReturnType<Agent["importMetadata"]>;
  readonly local: Awaited<ReturnType<Agent["allocate"]>>;
  readonly remote: ReturnType<Agent["importMetadata"]>["regions"][number];
}

/** Runs `work` with an agent here and one in a child process that ends with it. */
async function withPeer(
  transport: string,
  bytes: number,
  work: (pair: Pair) => Promise<void>,
): Promise<void> {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const child = fork(
    fileURLToPath(new URL(`./peer.${extension}`, import.meta.url)),
    [transport, String(bytes)],
    {
      execArgv: extension === "ts" ? ["--import", "tsx", "--conditions=@stator/source"] : [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    },
  );
  try {
    const [message] = (await once(child, "message", { signal: AbortSignal.timeout(peerDeadlineMs) })) as [
      { metadata: string },
    ];
    await using agent = await createAgent({ transports: [transportNamed(transport)] });
    const peer = agent.importMetadata(Buffer.from(message.metadata, "base64"));
    const local = await agent.allocate({ bytes });
    await work({ agent, peer, local, remote: peer.regions[0]! });
  } finally {
    child.kill("SIGKILL");
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
