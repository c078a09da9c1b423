import { useMemo } from "preact/hooks";
import type { Candidate } from "../../../src/index.ts";
import { accountsOf, estimateLayout } from "../../answer.ts";
import { count, time } from "../../format.ts";
import type { Inputs } from "../../inputs.ts";
import { AccountsOf } from "../layouts/accounts.tsx";
import { Downloads } from "../layouts/downloads.tsx";
import { Figures } from "../layouts/figures.tsx";
import { LayoutDrawing } from "../layouts/layout-drawing.tsx";
import { RefusalPanel } from "./refusal.tsx";

interface EstimateTaskProps {
  readonly inputs: Inputs;
  readonly pin: (candidate: Candidate, inputs: Inputs) => void;
}

const batching = { agg: "Aggregated", static: "Static batch", disagg: "Disaggregated" } as const;

/** What one layout does at one load. */
export function EstimateTask({ inputs, pin }: EstimateTaskProps) {
  const found = useMemo(() => estimateLayout(inputs), [inputs]);
  if (found.kind === "refused") return <RefusalPanel title="This cannot run" message={found.message} />;
  const { estimate, candidate, target } = found;
  const isSplit = candidate.mode === "disagg";
  const prefill = isSplit
    ? accountsOf(candidate, inputs).find((account) => account.role === "prefill")?.estimate
    : estimate;
  return (
    <>
      <section class="panel headline">
        <div class="headline-title">
          <div>
            <p class="eyebrow">
              <span class={`tag ${candidate.mode}`}>{batching[estimate.mode]}</span>
              {estimate.gpus} GPU{estimate.gpus > 1 ? "s" : ""}
              {estimate.isSaturated ? ", the KV cache holds fewer requests than this" : ""}
            </p>
            <h2>
              {estimate.label}, batch {estimate.batch}
            </h2>
          </div>
          <button type="button" onClick={() => pin(candidate, { ...inputs, gpus: estimate.gpus })}>
            Pin to compare
          </button>
        </div>
        <Figures candidate={candidate} ranges={estimate} />
        <p class="reason">
          A request takes {time(estimate.requestMs)}; the KV cache of a rank holds {count(estimate.capacity)}{" "}
          such requests at once
          {estimate.transferMs === undefined
            ? "."
            : `; moving one prompt's KV takes ${time(estimate.transferMs)}.`}
        </p>
      </section>
      <LayoutDrawing candidate={candidate} gpus={estimate.gpus} gpusPerNode={target.system.gpusPerNode} />
      {prefill && <AccountsOf prefill={prefill} decode={estimate} isSplit={isSplit} />}
      <Downloads candidate={candidate} target={target} inputs={inputs} />
    </>
  );
}
