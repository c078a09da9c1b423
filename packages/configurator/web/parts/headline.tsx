import type { Candidate, SearchResult } from "../../src/index.ts";
import { describeWorkers } from "../../src/index.ts";
import { count, time } from "../format.ts";
import type { Inputs } from "../inputs.ts";

interface HeadlineProps {
  readonly candidate: Candidate;
  readonly best: Candidate;
  readonly result: SearchResult;
  readonly inputs: Inputs;
  readonly tookMs: number;
  readonly pin: () => void;
}

export function Headline({ candidate, best, result, inputs, tookMs, pin }: HeadlineProps) {
  const layout = result.layouts.find(
    (entry) =>
      describeWorkers(entry.workers) === describeWorkers(candidate.workers) && entry.mode === candidate.mode,
  );
  const isBest = candidate === best;
  const gain = result.disaggregationGain;
  return (
    <section class="panel headline">
      <div class="headline-title">
        <div>
          <p class="eyebrow">
            <span class={`tag ${candidate.mode}`}>
              {candidate.mode === "disagg" ? "Disaggregated" : "Aggregated"}
            </span>
            {isBest ? "best within the limits" : layout ? "within the limits" : "on the front"}
          </p>
          <h2>{describeWorkers(candidate.workers)}</h2>
        </div>
        <button type="button" onClick={pin}>
          Pin to compare
        </button>
      </div>
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
        <div>
          <dt>First token</dt>
          <dd class={candidate.ttftMs > inputs.ttft ? "is-over" : ""}>
            {time(candidate.ttftMs)}
            <small>
              {layout
                ? `${time(layout.ttftRangeMs[0])} to ${time(layout.ttftRangeMs[1])}`
                : `limit ${time(inputs.ttft)}`}
            </small>
          </dd>
        </div>
        <div>
          <dt>Per token</dt>
          <dd class={candidate.tpotMs > inputs.tpot ? "is-over" : ""}>
            {time(candidate.tpotMs)}
            <small>
              {layout
                ? `${time(layout.tpotRangeMs[0])} to ${time(layout.tpotRangeMs[1])}`
                : `limit ${time(inputs.tpot)}`}
            </small>
          </dd>
        </div>
        <div>
          <dt>Load</dt>
          <dd>
            {count(candidate.requestsPerSecond)}
            <small>requests/s, {count(candidate.concurrency)} in flight</small>
          </dd>
        </div>
      </dl>
      <p class="reason">{layout?.reason ?? "A faster or fuller operating point than the limits ask for."}</p>
      {layout?.simulated && (
        <p class="quiet">
          Stepped through {layout.simulated.requests} requests: first token{" "}
          {time(layout.simulated.ttftMs.p50)} median and {time(layout.simulated.ttftMs.p99)} at p99, per token{" "}
          {time(layout.simulated.tpotMs.p50)} and {time(layout.simulated.tpotMs.p99)},{" "}
          {count(layout.simulated.requestsPerSecond)} requests/s.
        </p>
      )}
      <p class="quiet">
        {gain === undefined
          ? ""
          : `Disaggregation ${gain >= 1 ? "gains" : "costs"} ${Math.abs((gain - 1) * 100).toFixed(0)} % throughput here. `}
        {result.considered} layouts in {tookMs.toFixed(0)} ms.
      </p>
    </section>
  );
}
