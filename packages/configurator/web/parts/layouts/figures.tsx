import type { Candidate } from "../../../src/index.ts";
import { count, time } from "../../format.ts";
import type { Inputs } from "../../inputs.ts";

interface FiguresProps {
  readonly candidate: Candidate;
  /** Limits to judge by; none where a layout is only looked at. */
  readonly inputs?: Inputs;
  readonly ranges:
    | {
        readonly ttftRangeMs: readonly [number, number];
        readonly tpotRangeMs: readonly [number, number];
      }
    | undefined;
}

/** Throughput, speed, latencies and load of one operating point. */
export function Figures({ candidate, inputs, ranges }: FiguresProps) {
  const latency = (
    name: string,
    ms: number,
    limitMs: number | undefined,
    range: readonly [number, number] | undefined,
  ) => (
    <div>
      <dt>{name}</dt>
      <dd class={limitMs !== undefined && ms > limitMs ? "is-over" : ""}>
        {time(ms)}
        <small>
          {range
            ? `${time(range[0])} to ${time(range[1])}`
            : limitMs === undefined
              ? ""
              : `limit ${time(limitMs)}`}
        </small>
      </dd>
    </div>
  );
  return (
    <dl class="figures">
      <div>
        <dt>Throughput</dt>
        <dd>
          {count(candidate.tokensPerSecondPerGpu)}
          <small>tokens/s per GPU</small>
        </dd>
      </div>
      <div>
        <dt>Speed</dt>
        <dd>
          {count(candidate.tokensPerSecondPerUser)}
          <small>tokens/s per user</small>
        </dd>
      </div>
      {latency("First token", candidate.ttftMs, inputs?.ttft, ranges?.ttftRangeMs)}
      {latency("Per token", candidate.tpotMs, inputs?.tpot, ranges?.tpotRangeMs)}
      <div>
        <dt>Load</dt>
        <dd>
          {count(candidate.requestsPerSecond)}
          <small>requests/s, {count(candidate.concurrency)} in flight</small>
        </dd>
      </div>
    </dl>
  );
}
