import type { Candidate } from "../../../src/index.ts";
import { describeWorkers } from "../../../src/index.ts";
import type { Found } from "../../answer.ts";
import { count, time } from "../../format.ts";
import type { Inputs } from "../../inputs.ts";
import { Figures } from "./figures.tsx";

interface HeadlineProps {
  readonly candidate: Candidate;
  readonly best: Candidate;
  readonly found: Found;
  readonly inputs: Inputs;
  readonly pin: () => void;
}

export function Headline({ candidate, best, found, inputs, pin }: HeadlineProps) {
  const { result, recommendation, tookMs } = found;
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
      <Figures candidate={candidate} inputs={inputs} ranges={layout} />
      {recommendation && isBest && (
        <p class="reason">
          {recommendation.gpus} GPU{recommendation.gpus > 1 ? "s are" : " is"} the fewest that serve{" "}
          {inputs.load} {inputs.loadKind === "rate" ? "requests/s" : "requests in flight"} within the limits,{" "}
          {Math.round(recommendation.utilization * 100)} % used.
        </p>
      )}
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
