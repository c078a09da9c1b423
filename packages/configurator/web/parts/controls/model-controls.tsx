import { modelNames, quantizationNames } from "@stator/simulator/performance-model";
import type { ControlsProps } from "./controls-props.ts";
import { Pasted } from "./fields.tsx";

export function ModelControls({ inputs, change }: ControlsProps) {
  return (
    <fieldset>
      <legend>Model</legend>
      <label class="field">
        <span>Checkpoint</span>
        <input
          list="models"
          value={inputs.model}
          aria-label="Model"
          spellcheck={false}
          disabled={inputs.config !== ""}
          onChange={(event) => change({ model: event.currentTarget.value })}
        />
        <datalist id="models">
          {modelNames().map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </label>
      <label class="field">
        <span>Quantization</span>
        <select
          value={inputs.quantization}
          aria-label="Quantization"
          onChange={(event) => change({ quantization: event.currentTarget.value })}
        >
          {quantizationNames.map((name) => (
            <option key={name} value={name}>
              {name === "auto" ? "as published" : name}
            </option>
          ))}
        </select>
      </label>
      <Pasted
        summary="Another model"
        label="config.json"
        placeholder="Paste its config.json"
        value={inputs.config}
        onValue={(config) => change({ config })}
      />
    </fieldset>
  );
}
