import type { DecisionView, RequestView } from "../../src/feed/views.ts";
import { count, duration, percent } from "../format.ts";
import { Timeline } from "./requests.tsx";

/** Why a request is where it is: its decisions with their terms, its transfer, its migrations. */
export function Inspector({ request }: { readonly request: RequestView | undefined }) {
  if (request === undefined) {
    return (
      <section class="panel inspector" aria-labelledby="inspector-title">
        <h2 id="inspector-title">Decision</h2>
        <p class="empty">
          Choose a request to see where it could have gone, what each place would have cost, and why it went
          where it did.
        </p>
      </section>
    );
  }
  const facts: readonly (readonly [string, string])[] = [
    ["Model", request.model === "" ? "–" : request.model],
    [
      "Prompt",
      `${count(request.promptTokens)} tokens, ${percent(request.promptTokens === 0 ? undefined : request.cachedTokens / request.promptTokens)} from cache`,
    ],
    [
      "Output",
      `${count(request.outputTokens)} tokens${request.end === undefined ? "" : `, ${request.code ?? request.end}`}`,
    ],
    ["First token", duration(request.ttftMs)],
    ["Between tokens", duration(request.itlMs)],
    ...(request.transferMs === undefined ? [] : [["KV moved in", duration(request.transferMs)] as const]),
  ];
  return (
    <section class="panel inspector" aria-labelledby="inspector-title" aria-live="off">
      <h2 id="inspector-title">Decision</h2>
      <p class="mono id">{request.id}</p>
      <Timeline request={request} longest={Math.max(1, request.durationMs)} />
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {request.decisions.map((decision, i) => (
        <Decision key={i} decision={decision} />
      ))}
      {request.migrations.map((migration, i) => (
        <p class="note migrated" key={i}>
          At {duration(migration.atMs)}: left <span class="mono">{migration.from}</span> ({migration.cause}),{" "}
          {migration.outcome} after {duration(migration.gapMs)}, {count(migration.recomputedTokens)} tokens
          computed again.
        </p>
      ))}
    </section>
  );
}

const termTones: Readonly<Record<string, string>> = {
  queue: "queued",
  prefill: "prefill",
  transfer: "both",
  decode: "decode",
  tier: "copper",
};

function Decision({ decision }: { readonly decision: DecisionView }) {
  const most = Math.max(
    1e-9,
    ...decision.candidates.map(({ costMs }) => (Number.isFinite(costMs) ? costMs : 0)),
  );
  const names = [
    ...new Set(
      decision.candidates.flatMap(({ terms }) =>
        Object.entries(terms).flatMap(([name, ms]) => (ms > 0 ? [name] : [])),
      ),
    ),
  ];
  return (
    <div class="decision">
      <h3>
        <span class={`role ${decision.phase === "full" ? "both" : decision.phase}`}>{decision.phase}</span> to{" "}
        <span class="mono">{decision.worker}</span>
      </h3>
      <p class="quiet">
        {decision.policy}: {decision.reason}. Decided in {duration(decision.decisionMs)} at{" "}
        {duration(decision.atMs)}; holds {count(decision.cachedTokens)} of {count(decision.promptTokens)}{" "}
        prompt tokens.
      </p>
      {decision.candidates.length > 0 && (
        <>
          <ul class="candidates">
            {decision.candidates.map((candidate) => {
              const isChosen = candidate.worker === decision.worker;
              return (
                <li
                  key={`${candidate.worker}/${candidate.rank}`}
                  class={`${isChosen ? "chosen" : ""} ${candidate.excluded === undefined ? "" : "excluded"}`}
                >
                  <span class="mono">
                    {isChosen ? "✓ " : ""}
                    {candidate.worker}
                    {candidate.rank > 0 ? `/${candidate.rank}` : ""}
                  </span>
                  {candidate.excluded === undefined ? (
                    <span class="bar">
                      {Object.entries(candidate.terms).map(([name, ms]) => (
                        <i
                          key={name}
                          class={termTones[name] ?? "copper"}
                          style={{ width: `${(Math.max(0, ms) / most) * 100}%` }}
                          title={`${name} ${duration(ms)}`}
                        />
                      ))}
                    </span>
                  ) : (
                    <span class="quiet">{candidate.excluded}</span>
                  )}
                  <span class="number mono">
                    {candidate.excluded === undefined ? duration(candidate.costMs) : ""}
                  </span>
                </li>
              );
            })}
          </ul>
          <p class="legend">
            {names.map((name) => (
              <span key={name}>
                <i class={termTones[name] ?? "copper"} /> {name}
              </span>
            ))}
          </p>
        </>
      )}
    </div>
  );
}
