import type { Candidate } from "../../../src/index.ts";
import { describeWorkers } from "../../../src/index.ts";
import { count, time } from "../../format.ts";
import type { Inputs } from "../../inputs.ts";

export interface Pinned {
  readonly key: string;
  readonly candidate: Candidate;
  readonly inputs: Inputs;
}

interface ComparisonProps {
  readonly pinned: readonly Pinned[];
  readonly unpin: (key: string) => void;
}

const figures: readonly {
  readonly name: string;
  readonly of: (candidate: Candidate) => number;
  readonly show: (value: number) => string;
  readonly isLowBetter: boolean;
}[] = [
  {
    name: "tokens/s per GPU",
    of: (candidate) => candidate.tokensPerSecondPerGpu,
    show: count,
    isLowBetter: false,
  },
  {
    name: "tokens/s per user",
    of: (candidate) => candidate.tokensPerSecondPerUser,
    show: count,
    isLowBetter: false,
  },
  { name: "first token", of: (candidate) => candidate.ttftMs, show: time, isLowBetter: true },
  { name: "per token", of: (candidate) => candidate.tpotMs, show: time, isLowBetter: true },
];

/** Pinned layouts side by side, against the first. */
export function Comparison({ pinned, unpin }: ComparisonProps) {
  const first = pinned[0];
  if (!first) return null;
  return (
    <section class="panel">
      <div class="panel-title">
        <h3>Pinned</h3>
        <p class="legend">against the first</p>
      </div>
      <div class="scroll">
        <table class="comparison">
          <thead>
            <tr>
              <th />
              {pinned.map(({ key, candidate, inputs }) => (
                <th key={key}>
                  <span class="quiet">
                    {inputs.model.split("/").at(-1)}, {inputs.gpus} × {inputs.system.toUpperCase()}
                  </span>
                  {describeWorkers(candidate.workers)}
                  <button type="button" class="link" onClick={() => unpin(key)}>
                    Remove
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {figures.map((figure) => (
              <tr key={figure.name}>
                <td>{figure.name}</td>
                {pinned.map(({ key, candidate }) => {
                  const ratio = figure.of(candidate) / figure.of(first.candidate);
                  const isBetter = figure.isLowBetter ? ratio < 0.995 : ratio > 1.005;
                  const isWorse = figure.isLowBetter ? ratio > 1.005 : ratio < 0.995;
                  return (
                    <td key={key}>
                      {figure.show(figure.of(candidate))}
                      {key !== first.key && (
                        <small class={isBetter ? "is-better" : isWorse ? "is-worse" : ""}>
                          {" "}
                          {ratio.toFixed(2)}×
                        </small>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
