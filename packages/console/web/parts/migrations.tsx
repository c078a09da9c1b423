import type { RequestView } from "../../src/feed/views.ts";
import { count, duration } from "../format.ts";

interface Props {
  readonly requests: readonly RequestView[];
  readonly onSelect: (key: string) => void;
}

/** Requests that lost their worker, and what became of them. */
export function Migrations({ requests, onSelect }: Props) {
  const moves = requests
    .flatMap((request) => request.migrations.map((migration) => ({ request, migration })))
    .slice(0, 30);
  return (
    <section class="panel" aria-labelledby="migrations-title">
      <h2 id="migrations-title">Migrations</h2>
      <ul class="moves" aria-live="polite" aria-relevant="additions">
        {moves.map(({ request, migration }) => (
          <li key={`${request.key}/${migration.atMs}`}>
            <button type="button" onClick={() => onSelect(request.key)}>
              <span class={migration.outcome === "failed" ? "dot bad" : "dot copper"} />
              <span class="mono">
                {migration.from} → {request.worker ?? "–"}
              </span>
              <span>
                {migration.cause}, {migration.outcome}
              </span>
              <span class="number">{duration(migration.gapMs)}</span>
              <span class="quiet number">{count(migration.recomputedTokens)} tokens again</span>
            </button>
          </li>
        ))}
      </ul>
      {moves.length === 0 && <p class="empty">No request has lost its worker. Kill one and watch.</p>}
    </section>
  );
}
