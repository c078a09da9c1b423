import type { RequestEvent } from "@stator/core";
import type { RateMeter } from "./rate-meter.ts";
import { RevisedMap, type Revisions } from "./revisions.ts";
import type { DecisionView, FlowView, MigrationView, RequestView } from "./views.ts";

/** The last requests, from what is told of them. */
export interface RequestBook {
  observe(event: RequestEvent): void;
  since(revision: number): readonly RequestView[];
  /** Flows told since the last call. */
  takeFlows(): readonly FlowView[];
}

/** Decisions and migrations kept of one choice; candidates kept of one decision. */
const mostSteps = 12;
const mostCandidates = 16;
/** Flows between two messages; more would be a blur. */
const mostFlows = 64;

interface Draft {
  view: RequestView;
  /** Our clock when it was first heard of: `atMs` of events may be another's. */
  readonly firstAtMs: number;
  firstTokenMs: number | undefined;
  lastTokenMs: number;
  gaps: number;
}

export function createRequestBook(
  revisions: Revisions,
  rates: RateMeter,
  options: {
    readonly mostRequests: number;
    readonly now: () => number;
    readonly modelOf: (worker: string) => string | undefined;
  },
): RequestBook {
  const views = new RevisedMap<RequestView>(revisions, options.mostRequests);
  const drafts = new Map<string, Draft>();
  let flows: FlowView[] = [];

  function flow(one: FlowView): void {
    if (flows.length < mostFlows) flows.push(one);
  }

  function draftOf(event: RequestEvent): Draft | undefined {
    const key = `${event.requestId}/${event.choice}`;
    const known = drafts.get(key);
    if (known !== undefined) return known;
    // Told after its end, or never begun for us.
    if (event.type === "finished" || views.get(key) !== undefined) return undefined;
    rates.started();
    const draft: Draft = {
      firstAtMs: event.atMs,
      firstTokenMs: undefined,
      lastTokenMs: event.atMs,
      gaps: 0,
      view: {
        key,
        id: event.requestId,
        choice: event.choice,
        model: "",
        startedMs: options.now(),
        stage: "queued",
        promptTokens: 0,
        cachedTokens: 0,
        outputTokens: 0,
        durationMs: 0,
        decisions: [],
        migrations: [],
      },
    };
    drafts.set(key, draft);
    return draft;
  }

  function firstToken(draft: Draft, atMs: number): Partial<RequestView> {
    if (draft.firstTokenMs !== undefined) return {};
    draft.firstTokenMs = atMs;
    draft.lastTokenMs = atMs;
    const ttftMs = atMs - draft.firstAtMs;
    rates.ttft(ttftMs);
    return { ttftMs, stage: "decode" };
  }

  function tokens(draft: Draft, atMs: number, count: number): Partial<RequestView> {
    const first = firstToken(draft, atMs);
    const outputTokens = draft.view.outputTokens + count;
    // The tokens of the first chunk came together: there is no gap to share.
    const isFirst = draft.view.outputTokens === 0;
    rates.tokens(count, isFirst ? undefined : atMs - draft.lastTokenMs);
    if (!isFirst) draft.gaps += count;
    draft.lastTokenMs = atMs;
    const itlMs = draft.gaps === 0 ? undefined : (atMs - (draft.firstTokenMs ?? atMs)) / draft.gaps;
    return { ...first, outputTokens, ...(itlMs === undefined ? {} : { itlMs }) };
  }

  function change(draft: Draft, event: RequestEvent): Partial<RequestView> {
    const { view } = draft;
    switch (event.type) {
      case "queued":
        return {};
      case "routed": {
        const { phase, worker, cachedTokens, promptTokens, costMs, decisionMs, policy, reason } = event;
        const { candidates } = event;
        const decision: DecisionView = {
          atMs: event.atMs - draft.firstAtMs,
          phase,
          worker,
          cachedTokens,
          promptTokens,
          costMs,
          decisionMs,
          policy,
          reason,
          candidates: [...candidates]
            .sort((a, b) => a.costMs - b.costMs)
            .slice(0, mostCandidates)
            .map(({ worker: w, rank, cachedTokens: c, costMs: cost, terms, excluded }) => ({
              worker: w,
              rank,
              cachedTokens: c,
              costMs: cost,
              terms,
              ...(excluded === undefined ? {} : { excluded }),
            })),
        };
        flow({ type: "routed", to: worker });
        return {
          decisions: [...view.decisions, decision].slice(-mostSteps),
          promptTokens,
          cachedTokens: Math.max(view.cachedTokens, cachedTokens),
          model: options.modelOf(worker) ?? view.model,
          ...(view.queuedMs === undefined
            ? { queuedMs: Math.max(0, event.atMs - decisionMs - draft.firstAtMs) }
            : {}),
          ...(phase === "prefill" ? { prefillWorker: worker } : { worker }),
          ...(draft.firstTokenMs === undefined
            ? { stage: phase === "decode" ? (view.stage === "queued" ? "prefill" : view.stage) : "prefill" }
            : {}),
        };
      }
      case "prefilled":
        return draft.firstTokenMs === undefined ? { stage: "transfer" } : {};
      case "transferred":
        flow({ type: "transferred", from: event.from, to: event.to });
        return { transferMs: event.durationMs, prefillWorker: event.from };
      case "firstToken":
        return firstToken(draft, event.atMs);
      case "tokens":
        return tokens(draft, event.atMs, event.count);
      case "migrated": {
        const { from, cause, outcome, gapMs, recomputedTokens } = event;
        const migration: MigrationView = {
          atMs: event.atMs - draft.firstAtMs,
          from,
          cause,
          outcome,
          gapMs,
          recomputedTokens,
        };
        flow({ type: "migrated", from, ...(view.worker === undefined ? {} : { to: view.worker }) });
        return { migrations: [...view.migrations, migration].slice(-mostSteps) };
      }
      case "finished":
        rates.ended();
        rates.prompt(event.promptTokens, event.cachedTokens);
        return {
          stage: "done",
          end: event.reason,
          promptTokens: event.promptTokens,
          cachedTokens: event.cachedTokens,
          outputTokens: event.outputTokens,
          ...(event.code === undefined ? {} : { code: event.code }),
        };
    }
  }

  return {
    observe(event) {
      const draft = draftOf(event);
      if (draft === undefined) return;
      draft.view = { ...draft.view, ...change(draft, event), durationMs: event.atMs - draft.firstAtMs };
      views.set(draft.view.key, draft.view);
      if (draft.view.stage === "done") drafts.delete(draft.view.key);
    },
    since: (revision) => views.since(revision),
    takeFlows() {
      const taken = flows;
      flows = [];
      return taken;
    },
  };
}
