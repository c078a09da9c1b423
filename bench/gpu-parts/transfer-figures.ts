// Transfers of the agent from another process's device memory into this one's, by the wall clock, against the driver's own copy of as many bytes.
import { fileURLToPath } from "node:url";
import type { CudaContext } from "@stator/cuda-bindings";
import { createAgent, describePacked } from "@stator/kv-transfer";
import { spawnPeer } from "@stator/kv-transfer/testing";
import { cudaUnderTest } from "../../packages/kv-transfer/test/cuda-transport.mjs";
import type { Figure } from "./figures.ts";

const specifier = fileURLToPath(
  new URL("../../packages/kv-transfer/test/cuda-transport.mjs", import.meta.url),
);

export async function measureTransferFigures(
  context: CudaContext,
  bytes: number,
  rounds: number,
): Promise<Figure[]> {
  await using agent = await createAgent({ transports: [cudaUnderTest()] });
  const child = await spawnPeer();
  try {
    await child.call({
      do: "open",
      name: "gpu-peer",
      module: specifier,
      transports: [{ export: "cudaUnderTest", options: {} }],
    });
    const id = (await child.call({ do: "allocate", bytes, fill: 1, memory: "device" })) as number;
    const peer = agent.importMetadata(
      Buffer.from((await child.call({ do: "metadata" })) as string, "base64"),
    );
    const here = await agent.allocate({ bytes, memory: "device" });
    const [source, target] = [context.allocate(bytes), context.allocate(bytes)];
    const stream = context.createStream();
    const timed = async (work: () => Promise<unknown>): Promise<number> => {
      const startMs = performance.now();
      await work();
      return performance.now() - startMs;
    };
    const figures: Figure[] = [];
    for (const [pieceBytes, aim] of [
      [1 << 20, 0.9],
      [4_096, 0.8],
    ] as const) {
      const pieces = Math.floor(bytes / pieceBytes);
      const places = (factor: bigint): Float64Array =>
        Float64Array.from(
          { length: pieces },
          (_, i) => Number((BigInt(i) * factor) % BigInt(pieces)) * pieceBytes,
        );
      const transfer = agent.createTransfer({
        operation: "read",
        peer,
        local: describePacked(here, places(1n), pieceBytes),
        remote: describePacked(peer.region(id), places(40_503n), pieceBytes),
      });
      const ours = async (): Promise<void> => {
        if (transfer.post() !== "done") await transfer.completion;
      };
      const theirs = (): Promise<void> => {
        context.copy(target, source, { stream });
        return stream.synchronize();
      };
      await ours();
      await theirs();
      const [ratios, rates]: [number[], number[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        const baseMs = await timed(theirs);
        const ms = await timed(ours);
        ratios.push(baseMs / ms);
        rates.push(bytes / ms / 1e6);
      }
      await transfer.release();
      const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
      const ratio = Math.round(middle(ratios) * 1000) / 1000;
      figures.push({
        name: "transfer between two processes",
        pieceBytes,
        gigabytesPerSecond: Math.round(middle(rates)),
        ratio,
        aim,
        reached: ratio >= aim,
      });
    }
    for (const each of [source, target, stream]) each.close();
    return figures;
  } finally {
    await child.close();
  }
}
