import { modelNames, quantizationNames, systemNames } from "@stator/simulator/performance-model";
import type { Inputs } from "../inputs.ts";
import { presets } from "../inputs.ts";

interface ControlsProps {
  readonly inputs: Inputs;
  readonly change: (values: Partial<Inputs>) => void;
}

interface NumberFieldProps {
  readonly label: string;
  readonly unit: string;
  readonly value: number;
  readonly min: number;
  readonly onValue: (value: number) => void;
}

function NumberField({ label, unit, value, min, onValue }: NumberFieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <span class="with-unit">
        <input
          type="number"
          min={min}
          value={value}
          aria-label={label}
          onInput={(event) => {
            const next = event.currentTarget.valueAsNumber;
            if (Number.isFinite(next)) onValue(next);
          }}
        />
        <em>{unit}</em>
      </span>
    </label>
  );
}

const engines = { vllm: "vLLM", sglang: "SGLang", trtllm: "TensorRT-LLM" } as const;

export function Controls({ inputs, change }: ControlsProps) {
  return (
    <form class="panel controls" onSubmit={(event) => event.preventDefault()}>
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
        <details open={inputs.config !== ""}>
          <summary>Another model</summary>
          <textarea
            rows={4}
            placeholder="Paste its config.json"
            aria-label="config.json"
            value={inputs.config}
            onChange={(event) => change({ config: event.currentTarget.value })}
          />
        </details>
      </fieldset>
      <fieldset>
        <legend>Hardware</legend>
        <div class="two">
          <label class="field">
            <span>System</span>
            <select
              value={inputs.system}
              aria-label="System"
              disabled={inputs.record !== ""}
              onChange={(event) => change({ system: event.currentTarget.value })}
            >
              {systemNames().map((name) => (
                <option key={name} value={name}>
                  {name.toUpperCase()}
                </option>
              ))}
            </select>
          </label>
          <NumberField
            label="GPUs"
            unit="in all"
            min={1}
            value={inputs.gpus}
            onValue={(gpus) => change({ gpus })}
          />
        </div>
        <div class="segmented" role="radiogroup" aria-label="Engine">
          {(Object.keys(engines) as (keyof typeof engines)[]).map((name) => (
            <button
              key={name}
              type="button"
              role="radio"
              aria-checked={inputs.backend === name}
              onClick={() => change({ backend: name })}
            >
              {engines[name]}
            </button>
          ))}
        </div>
        <details open={inputs.record !== ""}>
          <summary>Another system</summary>
          <textarea
            rows={4}
            placeholder={"extends: h200\nname: my-node\nnvlinkDomain: 4"}
            aria-label="System record"
            value={inputs.record}
            onChange={(event) => change({ record: event.currentTarget.value })}
          />
        </details>
      </fieldset>
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
      </fieldset>
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
      </fieldset>
    </form>
  );
}
