import { systemNames } from "@stator/simulator/performance-model";
import type { ControlsProps } from "./controls-props.ts";
import { NumberField, Pasted, Segmented } from "./fields.tsx";

const engines = { vllm: "vLLM", sglang: "SGLang", trtllm: "TensorRT-LLM" } as const;

export function HardwareControls({ inputs, change }: ControlsProps) {
  return (
    <fieldset>
      <legend>Hardware</legend>
      <div class={inputs.task === "search" ? "two" : ""}>
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
        {inputs.task === "search" && (
          <NumberField
            label="GPUs"
            unit="in all"
            min={1}
            value={inputs.gpus}
            onValue={(gpus) => change({ gpus })}
          />
        )}
      </div>
      <Segmented
        label="Engine"
        names={engines}
        value={inputs.backend}
        onValue={(backend) => change({ backend })}
      />
      <Pasted
        summary="Another system"
        label="System record"
        placeholder={"extends: h200\nname: my-node\nnvlinkDomain: 4"}
        value={inputs.record}
        onValue={(record) => change({ record })}
      />
    </fieldset>
  );
}
