import type { ControlsProps } from "./controls-props.ts";
import { NumberField } from "./fields.tsx";

/** Limits of the service level. */
export function LevelControls({ inputs, change }: ControlsProps) {
  return (
    <fieldset>
      <legend>Service level</legend>
      <div class="two">
        <NumberField
          label="First token"
          unit="ms"
          min={1}
          value={inputs.ttft}
          onValue={(ttft) => change({ ttft })}
        />
        <NumberField
          label="Per token"
          unit="ms"
          min={1}
          value={inputs.tpot}
          onValue={(tpot) => change({ tpot })}
        />
      </div>
      <NumberField
        label="Whole request, 0 for no limit"
        unit="s"
        min={0}
        value={inputs.request}
        onValue={(request) => change({ request })}
      />
    </fieldset>
  );
}
