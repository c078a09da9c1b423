import { useMemo, useState } from "preact/hooks";
import { modelNames, systemNames } from "@stator/simulator/performance-model";
import { support } from "../../../src/index.ts";

/** Which models, systems and engines are known, and what fits: one row for each, narrowed by name. */
export function SupportTask() {
  const [filter, setFilter] = useState("");
  const [system, setSystem] = useState("h200");
  const models = useMemo(
    () => modelNames().filter((name) => name.toLowerCase().includes(filter.trim().toLowerCase())),
    [filter],
  );
  const rows = useMemo(() => models.flatMap((model) => support({ model, system })), [models, system]);
  return (
    <section class="panel">
      <div class="panel-title">
        <h3>What is known</h3>
        <p class="legend">{rows.length} rows</p>
      </div>
      <div class="two filters">
        <label class="field">
          <span>Model contains</span>
          <input
            value={filter}
            aria-label="Model contains"
            placeholder="llama, 70b …"
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>System</span>
          <select
            value={system}
            aria-label="Support on system"
            onChange={(event) => setSystem(event.currentTarget.value)}
          >
            {systemNames().map((name) => (
              <option key={name} value={name}>
                {name.toUpperCase()}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div class="scroll">
        <table class="support">
          <thead>
            <tr>
              <th>Model</th>
              <th>Engine</th>
              <th>Weights in</th>
              <th class="number">GiB</th>
              <th class="number">Fewest GPUs</th>
              <th>Calibration</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.model + row.backend}>
                <td>{row.model}</td>
                <td>
                  {row.backend} <span class="quiet">{row.engineVersion}</span>
                </td>
                <td>{row.quantization}</td>
                <td class="number">{row.weightGib.toFixed(row.weightGib < 10 ? 1 : 0)}</td>
                <td class="number">{row.smallestGpus ?? "–"}</td>
                <td class={row.isSupported ? "" : "is-worse"}>
                  {row.isSupported ? row.calibration : row.problems.join("; ")}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
