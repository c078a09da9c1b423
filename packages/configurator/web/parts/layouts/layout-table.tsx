import type { Candidate, FoundLayout } from "../../../src/index.ts";
import { describeWorkers } from "../../../src/index.ts";
import { count, time } from "../../format.ts";

interface LayoutTableProps {
  readonly layouts: readonly FoundLayout[];
  readonly selected: Candidate;
  readonly band: readonly [number, number] | undefined;
  readonly choose: (candidate: Candidate) => void;
}

export function LayoutTable({ layouts, selected, band, choose }: LayoutTableProps) {
  const shown = band
    ? layouts.filter(
        (layout) => layout.tokensPerSecondPerUser >= band[0] && layout.tokensPerSecondPerUser <= band[1],
      )
    : layouts;
  const top = Math.max(...layouts.map((layout) => layout.tokensPerSecondPerGpu));
  return (
    <section class="panel">
      <div class="panel-title">
        <h3>Layouts within the limits</h3>
        <p class="legend">
          {shown.length} of {layouts.length}
        </p>
      </div>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Layout</th>
              <th class="number">tokens/s per GPU</th>
              <th class="number">per user</th>
              <th class="number">first token</th>
              <th class="number">per token</th>
              <th class="number">in flight</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((layout) => {
              const isOn =
                layout.mode === selected.mode &&
                describeWorkers(layout.workers) === describeWorkers(selected.workers);
              return (
                <tr
                  key={layout.mode + describeWorkers(layout.workers)}
                  class={isOn ? "is-on" : ""}
                  onClick={() => choose(layout)}
                >
                  <td>
                    <button
                      type="button"
                      class="row-button"
                      aria-pressed={isOn}
                      onClick={() => choose(layout)}
                    >
                      <i class={`mark ${layout.mode}`} />
                      {describeWorkers(layout.workers)}
                    </button>
                  </td>
                  <td class="number">
                    <span class="meter" style={{ "--share": layout.tokensPerSecondPerGpu / top }}>
                      {count(layout.tokensPerSecondPerGpu)}
                    </span>
                  </td>
                  <td class="number">{count(layout.tokensPerSecondPerUser)}</td>
                  <td class="number">{time(layout.ttftMs)}</td>
                  <td class="number">{time(layout.tpotMs)}</td>
                  <td class="number">{count(layout.concurrency)}</td>
                </tr>
              );
            })}
            {shown.length === 0 && (
              <tr>
                <td colSpan={6} class="quiet">
                  None of the best layouts lies in this range; widen it or choose a point of the front.
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}
