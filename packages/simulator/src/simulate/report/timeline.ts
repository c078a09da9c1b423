/** What a worker did in one slice of time: means over the slice, and tokens in it. */
export interface TimelinePoint {
  readonly atMs: number;
  readonly busyRatio: number;
  readonly running: number;
  readonly waiting: number;
  /** Share of KV blocks that requests hold. */
  readonly kvRatio: number;
  readonly prefillTokens: number;
  readonly outputTokens: number;
}

export interface Timeline {
  readonly sliceMs: number;
  readonly points: readonly TimelinePoint[];
}

/** What went on from one time to another. */
export interface Span {
  readonly running: number;
  readonly waiting: number;
  readonly kvRatio: number;
  readonly prefillTokens: number;
  readonly outputTokens: number;
}

const FIELDS = 6;
const MOST_SLICES = 240;

/** Collects spans into at most 240 slices; their length doubles as time goes on. */
export function createTimeline(): {
  add(fromMs: number, toMs: number, span: Span): void;
  /** @param ranks whose spans were added: means are over all of them. */
  read(endMs: number, ranks: number): Timeline;
} {
  let sliceMs = 250;
  let slices: number[] = [];

  function slice(index: number): number {
    const wanted = (index + 1) * FIELDS;
    while (slices.length < wanted) slices.push(0);
    return index * FIELDS;
  }

  function widen(toMs: number): void {
    while (toMs / sliceMs > MOST_SLICES) {
      const wide = Array.from({ length: Math.ceil(slices.length / FIELDS / 2) * FIELDS }, () => 0);
      slices.forEach((value, i) => {
        wide[Math.floor(Math.floor(i / FIELDS) / 2) * FIELDS + (i % FIELDS)]! += value;
      });
      slices = wide;
      sliceMs *= 2;
    }
  }

  return {
    add(fromMs, toMs, span) {
      widen(toMs);
      const wholeMs = toMs - fromMs;
      for (let from = fromMs; from < toMs;) {
        const index = Math.floor(from / sliceMs);
        const to = Math.min(toMs, (index + 1) * sliceMs);
        const ms = to - from;
        const at = slice(index);
        slices[at]! += ms;
        slices[at + 1]! += span.running * ms;
        slices[at + 2]! += span.waiting * ms;
        slices[at + 3]! += span.kvRatio * ms;
        slices[at + 4]! += (span.prefillTokens * ms) / wholeMs;
        slices[at + 5]! += (span.outputTokens * ms) / wholeMs;
        from = to > from ? to : toMs;
      }
    },
    read(endMs, ranks) {
      const points: TimelinePoint[] = [];
      for (let i = 0; i * FIELDS < slices.length; i++) {
        const [busy = 0, running = 0, waiting = 0, kv = 0, prefill = 0, output = 0] = slices.slice(
          i * FIELDS,
          (i + 1) * FIELDS,
        );
        const ms = Math.max(1e-9, (Math.min(endMs, (i + 1) * sliceMs) - i * sliceMs) * ranks);
        points.push({
          atMs: i * sliceMs,
          busyRatio: round(busy / ms),
          running: round((running / ms) * ranks),
          waiting: round((waiting / ms) * ranks),
          kvRatio: round(kv / ms),
          prefillTokens: Math.round(prefill),
          outputTokens: Math.round(output),
        });
      }
      return { sliceMs, points };
    },
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
