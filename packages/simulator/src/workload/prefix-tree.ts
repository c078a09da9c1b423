import { seededRandom } from "./random.ts";
import { TRACE_BLOCK_TOKENS, type TraceRequest } from "./trace-request.ts";

export interface PrefixTreeOptions {
  readonly requests: number;
  /** Divides the trace's mean gap between arrivals. Default 1. */
  readonly speedup?: number;
  /** Independent copies of the tree, each request going to one of them. Default 1. */
  readonly roots?: number;
  /** Stretches shared prefixes; rounded to a whole factor. Default 1. */
  readonly prefixLengthFactor?: number;
  /** Stretches what follows the shared prefix. Default 1. */
  readonly promptLengthFactor?: number;
  /** Default 1. */
  readonly seed?: number;
}

interface Node {
  visits: number;
  /** Requests whose shared part ends here. */
  ends: number;
  readonly children: Map<number, Node>;
}

const createNode = (): Node => ({ visits: 0, ends: 0, children: new Map() });

/**
 * Synthesises requests with the prefix sharing of a trace: its blocks that more than one request visits form a tree,
 * paths through it are drawn with the trace's frequencies, and each gets fresh blocks and an output of the trace's
 * lengths. Means are kept; the joint distribution of lengths is not. (The method of Dynamo's prefix data generator.)
 */
export function prefixTreeWorkload(
  trace: readonly TraceRequest[],
  options: PrefixTreeOptions,
): TraceRequest[] {
  const { requests, speedup = 1, roots = 1, prefixLengthFactor = 1, promptLengthFactor = 1 } = options;
  if (trace.length === 0) return [];
  const random = seededRandom(options.seed ?? 1);
  const visits = new Map<number, number>();
  for (const request of trace) for (const id of request.blockIds) visits.set(id, (visits.get(id) ?? 0) + 1);

  const root = createNode();
  const ownTokens: number[] = [];
  for (const request of trace) {
    let node = root;
    let shared = 0;
    node.visits++;
    for (const id of request.blockIds) {
      if (visits.get(id) === 1) break;
      let child = node.children.get(id);
      if (child === undefined) node.children.set(id, (child = createNode()));
      node = child;
      node.visits++;
      shared++;
    }
    node.ends++;
    ownTokens.push(Math.max(1, request.inputTokens - shared * TRACE_BLOCK_TOKENS));
  }

  const last = trace[trace.length - 1]!;
  const gapMs = (last.atMs - trace[0]!.atMs) / Math.max(1, trace.length - 1) / speedup;
  const ids = new Map<string, number>();
  let nextId = 0;
  let atMs = 0;
  const result: TraceRequest[] = [];
  for (let i = 0; i < requests; i++) {
    const copy = Math.floor(random() * roots);
    const blockIds: number[] = [];
    let path = `${copy}`;
    let node = root;
    for (;;) {
      let dice = random() * node.visits - node.ends;
      if (dice < 0) break;
      let step: readonly [number, Node] | undefined;
      for (const edge of node.children) {
        step = edge;
        dice -= edge[1].visits;
        if (dice < 0) break;
      }
      if (step === undefined) break;
      node = step[1];
      path += `/${step[0]}`;
      const copies = Math.max(1, Math.round(prefixLengthFactor));
      for (let k = 0; k < copies; k++) {
        const key = `${path}#${k}`;
        let id = ids.get(key);
        if (id === undefined) ids.set(key, (id = nextId++));
        blockIds.push(id);
      }
    }
    const own = Math.max(
      1,
      Math.round(ownTokens[Math.floor(random() * ownTokens.length)]! * promptLengthFactor),
    );
    const inputTokens = blockIds.length * TRACE_BLOCK_TOKENS + own;
    for (let k = 0; k < Math.ceil(own / TRACE_BLOCK_TOKENS); k++) blockIds.push(nextId++);
    const outputTokens = trace[Math.floor(random() * trace.length)]!.outputTokens;
    result.push({ atMs, inputTokens, outputTokens, blockIds });
    atMs -= Math.log(1 - random()) * gapMs;
  }
  return result;
}
