import { useState } from "preact/hooks";
import { validate } from "../../../src/index.ts";
import type { ErrorScore, ValidationReport } from "../../../src/index.ts";

type State =
  | { readonly kind: "empty" }
  | { readonly kind: "scored"; readonly name: string; readonly report: ValidationReport }
  | { readonly kind: "failed"; readonly message: string };

/** Predictions against measured rows of a file that never leaves the browser. */
export function ValidateTask() {
  const [state, setState] = useState<State>({ kind: "empty" });
  const read = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    try {
      setState({ kind: "scored", name: file.name, report: validate(await file.text()) });
    } catch (error) {
      setState({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
    }
  };
  return (
    <section class="panel">
      <div class="panel-title">
        <h3>Predictions against your measurements</h3>
        <p class="legend">{state.kind === "scored" ? state.name : "read in this page, sent nowhere"}</p>
      </div>
      <label class="field filters">
        <span>A CSV in the columns of AIConfigurator's silicon samples</span>
        <input
          type="file"
          accept=".csv,text/csv"
          aria-label="Measured rows"
          onChange={(event) => void read(event.currentTarget.files?.[0])}
        />
      </label>
      {state.kind === "failed" && <p class="is-worse">{state.message}</p>}
      {state.kind === "scored" && <Report report={state.report} />}
    </section>
  );
}

function Report({ report }: { readonly report: ValidationReport }) {
  const groups: readonly (readonly [string, Readonly<Record<string, ErrorScore>>])[] = [
    ["All", { "without the excluded": report.overall, "with them": report.withExcluded }],
    ["Engine", report.byBackend],
    ["System", report.bySystem],
    ["Model", report.byModel],
    ["Mode", report.byMode],
  ];
  const reasons = Object.entries(report.excluded.reasons).map(([reason, rows]) => `${rows} ${reason}`);
  const skipped = Object.entries(report.skipped).map(([reason, rows]) => `${rows} ${reason}`);
  return (
    <>
      <div class="scroll">
        <table class="scores">
          <thead>
            <tr>
              <th />
              <th class="number">Rows</th>
              <th class="number">TPOT mean error</th>
              <th class="number">median</th>
              <th class="number">TTFT mean error</th>
              <th class="number">median</th>
            </tr>
          </thead>
          {groups.map(([title, scores]) => (
            <tbody key={title}>
              <tr>
                <th colSpan={6}>{title}</th>
              </tr>
              {Object.entries(scores).map(([name, score]) => (
                <tr key={name}>
                  <td>{name}</td>
                  <td class="number">{score.rows}</td>
                  {[score.tpotMape, score.tpotMedian, score.ttftMape, score.ttftMedian].map((value, at) => (
                    <td class="number" key={at}>
                      {value.toFixed(1)} %
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          ))}
        </table>
      </div>
      <p class="quiet">
        Excluded by inputs and our own prediction: {report.excluded.share.toFixed(1)} %
        {reasons.length > 0 ? ` (${reasons.join(", ")})` : ""}. Skipped: {skipped.join(", ") || "none"}.
      </p>
    </>
  );
}
