import type { ControlsProps } from "./controls-props.ts";
import { NumberField, Segmented } from "./fields.tsx";

/** The load that the fewest GPUs are to serve. */
export function LoadControls({ inputs, change }: ControlsProps) {
  return (
    <fieldset>
      <legend>Load</legend>
      <Segmented
        label="Kind of load"
        names={{ rate: "Requests/s", concurrency: "In flight" }}
        value={inputs.loadKind}
        onValue={(loadKind) => change({ loadKind })}
      />
      <NumberField
        label="To serve"
        unit={inputs.loadKind === "rate" ? "req/s" : "req"}
        min={0}
        value={inputs.load}
        onValue={(load) => change({ load })}
      />
    </fieldset>
  );
}
