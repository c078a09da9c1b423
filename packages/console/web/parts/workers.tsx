import type { WorkerView } from "../../src/feed/views.ts";
import { percent } from "../format.ts";

const stateMarks = { ready: "●", suspect: "◐", draining: "◔", ejected: "▲", dead: "✕" } as const;

function kvTitle({ kvBlocksUsed, kvBlocksTotal, kvBlocksLeaked }: WorkerView): string {
  const leaked = kvBlocksLeaked > 0 ? `, ${kvBlocksLeaked} of them kept for a decode that will not come` : "";
  return `${kvBlocksUsed} of ${kvBlocksTotal} blocks${leaked}`;
}

/** The ring in words and figures. */
export function Workers({ workers }: { readonly workers: readonly WorkerView[] }) {
  const models = new Set(workers.map(({ model }) => model)).size;
  return (
    <div class="table-frame" tabIndex={0} aria-label="Workers, scrollable" role="group">
      <table class="workers">
        <thead>
          <tr>
            <th scope="col">Worker</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Runs
            </th>
            <th scope="col" class="number">
              Waits
            </th>
            <th scope="col">KV in use</th>
          </tr>
        </thead>
        <tbody>
          {workers.map((worker) => {
            const usage = worker.kvBlocksTotal > 0 ? worker.kvBlocksUsed / worker.kvBlocksTotal : 0;
            return (
              <tr key={worker.id} class={worker.state === "ready" ? "" : "off"}>
                <th scope="row">
                  <span class={`role ${worker.role}`}>{worker.role}</span>{" "}
                  <span class="mono">{worker.id}</span>
                  {models > 1 && <span class="quiet model"> {worker.model}</span>}
                </th>
                <td title={worker.reason ?? worker.probe?.detail ?? ""}>
                  <span class={`state ${worker.state}`}>
                    <span aria-hidden="true">{stateMarks[worker.state]}</span> {worker.state}
                  </span>
                  {(worker.probe?.outcome === "failed" || worker.probe?.outcome === "unproven") && (
                    <span class="quiet">
                      {" "}
                      KV events {worker.probe.outcome === "failed" ? "missing" : "unproven"}
                    </span>
                  )}
                </td>
                <td class="number">{worker.running}</td>
                <td class="number">{worker.waiting}</td>
                <td title={kvTitle(worker)}>
                  <span class="meter">
                    <span
                      class={`meter-fill ${worker.role}`}
                      style={{ width: `${Math.min(100, usage * 100)}%` }}
                    />
                  </span>
                  <span class="quiet mono">{percent(usage)}</span>
                </td>
              </tr>
            );
          })}
          {workers.length === 0 && (
            <tr>
              <td colSpan={5} class="quiet">
                No worker has registered yet.
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}
