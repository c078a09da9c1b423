import type { Inputs } from "../../inputs.ts";
import { presets } from "../../inputs.ts";
import type { ControlsProps } from "./controls-props.ts";
import { NumberField } from "./fields.tsx";

export function RequestControls({ inputs, change }: ControlsProps) {
  return (
    <fieldset>
      <legend>Requests</legend>
      <div class="presets">
        {presets.map((preset) => (
          <button
            key={preset.name}
            type="button"
            title={preset.hint}
            class={
              Object.entries(preset.values).every(([key, value]) => inputs[key as keyof Inputs] === value)
                ? "is-on"
                : ""
            }
            onClick={() => change(preset.values)}
          >
            {preset.name}
          </button>
        ))}
      </div>
      <div class="three">
        <NumberField
          label="Input"
          unit="tokens"
          min={1}
          value={inputs.isl}
          onValue={(isl) => change({ isl })}
        />
        <NumberField
          label="Output"
          unit="tokens"
          min={1}
          value={inputs.osl}
          onValue={(osl) => change({ osl })}
        />
        <NumberField
          label="Cached"
          unit="tokens"
          min={0}
          value={inputs.prefix}
          onValue={(prefix) => change({ prefix })}
        />
      </div>
      {inputs.mode === "static" && inputs.task === "estimate" ? null : (
        <label class="field">
          <span>Arrivals</span>
          <select
            value={inputs.arrival}
            aria-label="Arrivals"
            onChange={(event) => change({ arrival: event.currentTarget.value as Inputs["arrival"] })}
          >
            <option value="closed">each user waits for an answer</option>
            <option value="poisson">at random</option>
            <option value="burst">all at once</option>
          </select>
        </label>
      )}
    </fieldset>
  );
}
