// How fast bytes move, each figure as a share of the driver's own copy of the same bytes on the same device.
import type { CudaContext, CudaMemory, CudaStream } from "@stator/cuda-bindings";

export interface Figure {
  readonly name: string;
  readonly pieceBytes: number;
  readonly gigabytesPerSecond: number;
  /** Share of the driver's one large copy, measured in between. */
  readonly ratio: number;
  readonly aim: number;
  readonly reached: boolean;
}

export async function measureFigures(context: CudaContext, bytes: number, rounds: number): Promise<Figure[]> {
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
