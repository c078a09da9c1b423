import type { ControlsProps } from "./controls-props.ts";
import { NumberField, Segmented } from "./fields.tsx";

const modes = { agg: "Aggregated", static: "Static", disagg: "Disaggregated" } as const;

/** One layout: how it batches and how its workers split the model. */
export function SplitControls({ inputs, change }: ControlsProps) {
  const isSplit = inputs.mode === "disagg";
  return (
    <fieldset>
      <legend>Layout</legend>
      <Segmented label="Batching" names={modes} value={inputs.mode} onValue={(mode) => change({ mode })} />
      {isSplit && <p class="quiet">Prefill workers</p>}
      {isSplit && (
        <div class="four">
          <NumberField
            label="Workers"
            unit=""
            min={1}
            value={inputs.pworkers}
            onValue={(pworkers) => change({ pworkers })}
          />
          <NumberField label="TP" unit="" min={1} value={inputs.ptp} onValue={(ptp) => change({ ptp })} />
          <NumberField label="DP" unit="" min={1} value={inputs.pdp} onValue={(pdp) => change({ pdp })} />
          <NumberField label="EP" unit="" min={1} value={inputs.pep} onValue={(pep) => change({ pep })} />
        </div>
      )}
      {isSplit && <p class="quiet">Decode workers</p>}
      <div class="four">
        {isSplit ? (
          <NumberField
            label="Workers"
            unit=""
            min={1}
            value={inputs.workers}
            onValue={(workers) => change({ workers })}
          />
        ) : (
          <NumberField label="PP" unit="" min={1} value={inputs.pp} onValue={(pp) => change({ pp })} />
        )}
        <NumberField label="TP" unit="" min={1} value={inputs.tp} onValue={(tp) => change({ tp })} />
        <NumberField label="DP" unit="" min={1} value={inputs.dp} onValue={(dp) => change({ dp })} />
        <NumberField label="EP" unit="" min={1} value={inputs.ep} onValue={(ep) => change({ ep })} />
      </div>
      <NumberField
        label="Batch"
        unit="per rank"
        min={1}
        value={inputs.batch}
        onValue={(batch) => change({ batch })}
      />
    </fieldset>
  );
}
