import type { RequestEvent, RoutedCandidate } from "@stator/core";
import type { RateMeter } from "./rate-meter.ts";
import { type Revised, RevisedMap, type Revisions } from "./revisions.ts";
import type { CandidateView, DecisionView, FlowView, MigrationView, RequestView } from "./views.ts";

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

/** Running requests followed at once; the oldest are given up beyond, should their end never be told. */
const mostDrafts = 20_000;

type Mutable<View> = { -readonly [Key in keyof View]: View[Key] };

interface Draft {
  /** Changed in place: a copy for each token would cost more than all the rest. */
  readonly view: Mutable<RequestView>;
  readonly entry: Revised;
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
  const drafts = new Map<string, Map<number, Draft>>();
  let flows: FlowView[] = [];

  function flow(one: FlowView): void {
    if (flows.length < mostFlows) flows.push(one);
  }

  function draftOf(event: RequestEvent): Draft | undefined {
    const known = drafts.get(event.requestId)?.get(event.choice);
    if (known !== undefined) return known;
    const key = `${event.requestId}/${event.choice}`;
    // Told after its end, or never begun for us.
    if (event.type === "finished" || views.get(key) !== undefined) return undefined;
    rates.started();
    const view: Draft["view"] = {
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
    };
    const draft: Draft = {
      view,
      entry: views.set(key, view),
      firstAtMs: event.atMs,
      firstTokenMs: undefined,
      lastTokenMs: event.atMs,
      gaps: 0,
    };
    const choices = drafts.get(event.requestId);
    if (choices === undefined) drafts.set(event.requestId, new Map([[event.choice, draft]]));
    else choices.set(event.choice, draft);
    if (drafts.size > mostDrafts) drafts.delete(drafts.keys().next().value as string);
    return draft;
  }

  function firstToken(draft: Draft, atMs: number): void {
    if (draft.firstTokenMs !== undefined) return;
    draft.firstTokenMs = atMs;
    draft.lastTokenMs = atMs;
    draft.view.ttftMs = atMs - draft.firstAtMs;
    draft.view.stage = "decode";
    rates.ttft(draft.view.ttftMs);
  }

  function tokens(draft: Draft, atMs: number, count: number): void {
    firstToken(draft, atMs);
    // The tokens of the first chunk came together: there is no gap to share.
    const isFirst = draft.view.outputTokens === 0;
    rates.tokens(count, isFirst ? undefined : atMs - draft.lastTokenMs);
    draft.view.outputTokens += count;
    draft.lastTokenMs = atMs;
    if (isFirst) return;
    draft.gaps += count;
    draft.view.itlMs = (atMs - (draft.firstTokenMs ?? atMs)) / draft.gaps;
  }

  function routed(draft: Draft, event: RequestEvent & { readonly type: "routed" }): void {
    const { view } = draft;
    const { phase, worker, cachedTokens, promptTokens, costMs, decisionMs, policy, reason } = event;
    const candidates = [...event.candidates]
      .sort((a, b) => a.costMs - b.costMs)
      .slice(0, mostCandidates)
      .map(candidateView);
    const atMs = event.atMs - draft.firstAtMs;
    const decision: DecisionView = {
      atMs,
      phase,
      worker,
      cachedTokens,
      promptTokens,
      costMs,
      decisionMs,
      policy,
      reason,
      candidates,
    };
    flow({ type: "routed", to: worker });
    view.decisions = [...view.decisions, decision].slice(-mostSteps);
    view.promptTokens = promptTokens;
    view.cachedTokens = Math.max(view.cachedTokens, cachedTokens);
    view.model = options.modelOf(worker) ?? view.model;
    view.queuedMs ??= Math.max(0, atMs - decisionMs);
    if (phase === "prefill") view.prefillWorker = worker;
    else view.worker = worker;
    if (draft.firstTokenMs === undefined && (phase !== "decode" || view.stage === "queued"))
      view.stage = "prefill";
  }

  function change(draft: Draft, event: RequestEvent): void {
    const { view } = draft;
    switch (event.type) {
      case "queued":
        return;
      case "routed":
        routed(draft, event);
        return;
      case "prefilled":
        if (draft.firstTokenMs === undefined) view.stage = "transfer";
        return;
      case "transferred":
        flow({ type: "transferred", from: event.from, to: event.to });
        view.transferMs = event.durationMs;
        view.prefillWorker = event.from;
        return;
      case "firstToken":
        firstToken(draft, event.atMs);
        return;
      case "tokens":
        tokens(draft, event.atMs, event.count);
        return;
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
        flow(
          view.worker === undefined
            ? { type: "migrated", from }
            : { type: "migrated", from, to: view.worker },
        );
        view.migrations = [...view.migrations, migration].slice(-mostSteps);
        return;
      }
      case "finished":
        rates.ended();
        rates.prompt(event.promptTokens, event.cachedTokens);
        view.stage = "done";
        view.end = event.reason;
        view.promptTokens = event.promptTokens;
        view.cachedTokens = event.cachedTokens;
        view.outputTokens = event.outputTokens;
        if (event.code !== undefined) view.code = event.code;
    }
  }

  return {
    observe(event) {
      const draft = draftOf(event);
      if (draft === undefined) return;
      change(draft, event);
      draft.view.durationMs = event.atMs - draft.firstAtMs;
      views.touch(draft.entry);
      if (event.type !== "finished") return;
      const choices = drafts.get(event.requestId);
      choices?.delete(event.choice);
      if (choices?.size === 0) drafts.delete(event.requestId);
    },
    since: (revision) => views.since(revision),
    takeFlows() {
      const taken = flows;
      flows = [];
      return taken;
    },
  };
}

function candidateView({
  worker,
  rank,
  cachedTokens,
  costMs,
  terms,
  excluded,
}: RoutedCandidate): CandidateView {
  const view = { worker, rank, cachedTokens, costMs, terms };
  return excluded === undefined ? view : { ...view, excluded };
}
