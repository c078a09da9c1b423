import type { Clock, KvEvent, KvEventBatch } from "@stator/core";
import { createBlockCache, type EvictionOrder } from "./block-cache.ts";

export interface SimulatedWorkerOptions {
  readonly id: string;
  readonly epoch?: string;
  readonly clock: Clock;
  /** KV blocks that it can keep. */
  readonly kvBlocks: number;
  /** Time to compute `newTokens` behind `cachedTokens`. One prompt at a time, first come first served. */
  readonly prefillMs: (newTokens: number, cachedTokens: number) => number;
  /** Time between tokens with this many requests decoding. */
  readonly interTokenMs: (decoding: number) => number;
  /** Default `tailFirst`. */
  readonly eviction?: EvictionOrder;
  readonly blockTokens: number;
  /** Hears KV events as they happen. */
  readonly onEvents?: (batch: KvEventBatch) => void;
}

/** A request as a simulated worker runs it. */
export interface SimulatedRequest {
  readonly names: BigUint64Array;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly onFirstToken?: (cachedTokens: number) => void;
  /** Called now and then while it decodes, with output tokens so far. */
  readonly onProgress?: (outputTokens: number) => void;
  readonly onFinished?: () => void;
}

export interface SimulatedWorker {
  readonly id: string;
  readonly epoch: string;
  /** Waiting for prefill or in it. */
  readonly waiting: number;
  readonly decoding: number;
  /** Prompt tokens computed so far. */
  readonly computedTokens: number;
  start(request: SimulatedRequest): void;
}

const PROGRESS_TOKENS = 64;

/** A worker in virtual time: FCFS prefill at a given speed, decode at a given inter-token time, an LRU of KV blocks. */
export function createSimulatedWorker(options: SimulatedWorkerOptions): SimulatedWorker {
  const { clock, blockTokens, id, epoch = "1" } = options;
  const cache = createBlockCache(options.kvBlocks, options.eviction);
  const queue: SimulatedRequest[] = [];
  let isBusy = false;
  let decoding = 0;
  let computedTokens = 0;
  let sequence = 0n;

  function emit(request: SimulatedRequest): void {
    const { added, evicted } = cache.use(request.names);
    if (options.onEvents === undefined || (added.length === 0 && evicted.length === 0)) return;
    const events: KvEvent[] = added.map(([from, to]) => ({
      type: "stored",
      ...(from === 0 ? {} : { parent: request.names[from - 1]! }),
      sequenceHashes: request.names.slice(from, to),
      tier: "device",
      rank: 0,
    }));
    if (evicted.length > 0)
      events.push({ type: "removed", sequenceHashes: evicted, tier: "device", rank: 0 });
    options.onEvents({ worker: id, epoch, sequence: ++sequence, events });
  }

  function next(): void {
    const request = queue.shift();
    isBusy = request !== undefined;
    if (request === undefined) return;
    const cachedTokens = Math.min(request.inputTokens, cache.depth(request.names) * blockTokens);
    const newTokens = Math.max(1, request.inputTokens - cachedTokens);
    clock.schedule(options.prefillMs(newTokens, cachedTokens), () => {
      computedTokens += newTokens;
      emit(request);
      decoding++;
      request.onFirstToken?.(cachedTokens);
      decode(request, 1);
      next();
    });
  }

  function decode(request: SimulatedRequest, done: number): void {
    const tokens = Math.min(PROGRESS_TOKENS, request.outputTokens - done);
    if (tokens <= 0) {
      decoding--;
      request.onFinished?.();
      return;
    }
    clock.schedule(tokens * options.interTokenMs(decoding), () => {
      request.onProgress?.(done + tokens);
      decode(request, done + tokens);
    });
  }

  return {
    id,
    epoch,
    get waiting() {
      return queue.length + (isBusy ? 1 : 0);
    },
    get decoding() {
      return decoding;
    },
    get computedTokens() {
      return computedTokens;
    },
    start(request) {
      queue.push(request);
      if (!isBusy) next();
    },
  };
}
