import type { Clock, RequestEvent, Timer, WorkerSource } from "@stator/core";
import { createRateMeter } from "./rate-meter.ts";
import { createRequestBook } from "./request-book.ts";
import { createRevisions } from "./revisions.ts";
import type { FeedMessage, FlowView, PlanView, ProbeView, RateView } from "./views.ts";
import { createWorkerBook } from "./worker-book.ts";

/** Writes one message; false when the reader has not read the ones before. */
type FeedReader = (message: FeedMessage) => boolean;

export interface Feed {
  observe(event: RequestEvent): void;
  planned(plan: readonly PlanView[]): void;
  probed(worker: string, epoch: string, rank: number, probe: ProbeView): void;
  /** Sends everything now, then what changes. Returns how to stop. */
  subscribe(reader: FeedReader): () => void;
  readonly readers: number;
  close(): void;
}

export interface FeedOptions {
  readonly title: string;
  readonly workers: readonly WorkerSource[];
  readonly mostRequests: number;
  readonly intervalMs: number;
  readonly clock: Clock;
}

interface Reader {
  readonly write: FeedReader;
  revision: number;
  lastRateMs: number;
}

/** State of the process for its pages. A page that reads slowly gets fewer messages, each with all that changed. */
export function createFeed({ title, workers, mostRequests, intervalMs, clock }: FeedOptions): Feed {
  const startMs = clock.now();
  const revisions = createRevisions();
  const rates = createRateMeter(startMs);
  const workerBook = createWorkerBook(workers, revisions);
  const requestBook = createRequestBook(revisions, rates, {
    mostRequests,
    now: () => clock.now(),
    modelOf: (worker) => workerBook.modelOf(worker),
  });
  const readers = new Set<Reader>();
  let plan: { readonly value: readonly PlanView[]; readonly revision: number } | undefined;
  let lastPointMs = startMs;
  let timer: Timer | undefined;
  let isClosed = false;

  function message(reader: Reader, flows: readonly FlowView[]): FeedMessage {
    const { revision } = reader;
    const nowMs = clock.now();
    const fresh: RateView[] = rates.history.filter(({ atMs }) => atMs > reader.lastRateMs);
    return {
      title,
      nowMs,
      uptimeMs: nowMs - startMs,
      ...workerBook.since(revision),
      requests: requestBook.since(revision),
      flows,
      rates: fresh,
      ...(plan !== undefined && plan.revision > revision ? { plan: plan.value } : {}),
    };
  }

  function send(reader: Reader, flows: readonly FlowView[]): void {
    const next = message(reader, flows);
    if (!reader.write(next)) return;
    reader.revision = revisions.current;
    reader.lastRateMs = next.rates.at(-1)?.atMs ?? reader.lastRateMs;
  }

  function tick(): void {
    const nowMs = clock.now();
    if (nowMs - lastPointMs >= 1_000) {
      rates.tick(nowMs);
      lastPointMs = nowMs;
    }
    const flows = requestBook.takeFlows();
    for (const reader of readers) send(reader, flows);
    if (!isClosed) timer = clock.schedule(intervalMs, tick);
  }
  timer = clock.schedule(intervalMs, tick);

  return {
    observe: (event) => requestBook.observe(event),
    probed: (worker, epoch, rank, probe) => workerBook.probed(worker, epoch, rank, probe),
    planned: (value) => {
      plan = { value, revision: revisions.next() };
    },
    subscribe(write) {
      const reader: Reader = { write, revision: 0, lastRateMs: Number.NEGATIVE_INFINITY };
      readers.add(reader);
      send(reader, []);
      return () => readers.delete(reader);
    },
    get readers() {
      return readers.size;
    },
    close() {
      isClosed = true;
      timer?.cancel();
      readers.clear();
      workerBook.close();
    },
  };
}
