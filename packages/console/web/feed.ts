import { useEffect, useState } from "preact/hooks";
import type {
  FeedMessage,
  FlowView,
  PlanView,
  RateView,
  RequestView,
  WorkerView,
} from "../src/feed/views.ts";

/** A flow with a name of its own, for its animation. */
export interface Flow extends FlowView {
  readonly key: number;
}

/** Everything that the page shows. */
export interface State {
  readonly isLive: boolean;
  readonly title: string;
  readonly uptimeMs: number;
  readonly workers: ReadonlyMap<string, WorkerView>;
  /** Newest first. */
  readonly requests: readonly RequestView[];
  readonly flows: readonly Flow[];
  readonly rates: readonly RateView[];
  readonly plan: readonly PlanView[];
}

const mostRequests = 200;
const mostRates = 120;

const emptyState: State = {
  isLive: false,
  title: "Stator",
  uptimeMs: 0,
  workers: new Map(),
  requests: [],
  flows: [],
  rates: [],
  plan: [],
};

let flowKeys = 0;

/** `state` with what a message says; the first one after a connect replaces what was there. */
function merged(state: State, message: FeedMessage, isFirst: boolean): State {
  const workers = new Map(isFirst ? [] : state.workers);
  for (const id of message.gone) workers.delete(id);
  for (const worker of message.workers) workers.set(worker.id, worker);
  const requests = new Map(isFirst ? [] : state.requests.map((request) => [request.key, request]));
  for (const request of message.requests) requests.set(request.key, request);
  return {
    isLive: true,
    title: message.title,
    uptimeMs: message.uptimeMs,
    workers,
    requests: [...requests.values()].sort((a, b) => b.startedMs - a.startedMs).slice(0, mostRequests),
    flows: message.flows.map((flow) => ({ ...flow, key: ++flowKeys })),
    rates: [...(isFirst ? [] : state.rates), ...message.rates].slice(-mostRates),
    plan: message.plan ?? (isFirst ? [] : state.plan),
  };
}

/** The feed of this page's process. While `isPaused`, requests stay as they are. */
export function useFeed(isPaused: boolean): State {
  const [state, setState] = useState(emptyState);
  const [shown, setShown] = useState<readonly RequestView[]>([]);
  useEffect(() => {
    const source = new EventSource("feed");
    let isFirst = true;
    source.onopen = () => {
      isFirst = true;
    };
    source.onmessage = (event: MessageEvent<string>) => {
      const wasFirst = isFirst;
      isFirst = false;
      const message = JSON.parse(event.data) as FeedMessage;
      setState((before) => merged(before, message, wasFirst));
    };
    source.onerror = () => setState((before) => ({ ...before, isLive: false }));
    return () => source.close();
  }, []);
  useEffect(() => {
    if (!isPaused) setShown(state.requests);
  }, [isPaused, state.requests]);
  return { ...state, requests: isPaused ? shown : state.requests };
}
