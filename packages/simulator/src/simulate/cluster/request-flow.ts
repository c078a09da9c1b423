import type { Booking, SelectRequest } from "@stator/router/selector";
import type { TraceRequest } from "../../workload/trace-request.ts";
import type { Job } from "../engine/rank.ts";
import type { NumberedBlocks } from "../engine/block-numbers.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Links } from "./links.ts";
import type { SimulatedOutcome } from "../simulation.ts";
import type { PoolWorker, SimulatedPool } from "./simulated-pool.ts";

/** One request on its way. */
interface Trip {
  readonly outcome: SimulatedOutcome;
  readonly request: TraceRequest;
  readonly blocks: NumberedBlocks;
  readonly onEnd: () => void;
  /** Output tokens that the client has. */
  produced: number;
  /** What it holds where, to be let go when a worker fails. */
  legs: Leg[];
  /** Counts the attempts: callbacks of earlier ones are void. */
  attempt: number;
}

interface Leg {
  readonly worker: PoolWorker;
  readonly booking: Booking;
  readonly job: Job;
}

export interface RequestFlowOptions {
  readonly events: EventQueue;
  readonly links: Links;
  /** Pool of role `both`, or of role `decode`. */
  readonly serving: SimulatedPool;
  readonly prefill: SimulatedPool | undefined;
  readonly disaggregateAboveTokens: number;
  readonly failureDetectionMs: number;
  readonly kvBytesPerToken: number;
  readonly onTransfer: (ms: number, bytes: number) => void;
  readonly onFirstToken: (outcome: SimulatedOutcome) => void;
}

/** Requests on their way through pools, as the router's combinators send them. */
export interface RequestFlow {
  start(request: TraceRequest, blocks: NumberedBlocks, outcome: SimulatedOutcome, onEnd: () => void): void;
  /** Workers came: requests that found none go on. */
  retry(): void;
  failed(pool: SimulatedPool, worker: string): void;
}

export function createRequestFlow(options: RequestFlowOptions): RequestFlow {
  const { events, links, serving, prefill } = options;
  const trips = new Map<Job, Trip>();
  let waiting: Trip[] = [];

  function leg(trip: Trip, pool: SimulatedPool, select: SelectRequest, job: Job): Leg | undefined {
    const decision = pool.selector.select(select);
    if (decision.chosen === undefined) return undefined;
    const booking = pool.selector.book(decision);
    const worker = pool.workers.get(booking.worker)!;
    const taken: Leg = { worker, booking, job };
    worker.requests++;
    trip.legs.push(taken);
    trips.set(job, trip);
    return taken;
  }

  /** A dead worker that nobody knows of yet takes the job and does nothing. */
  function run({ worker, booking, job }: Leg): void {
    if (!worker.isGone) worker.ranks[booking.rank]!.add(job);
  }

  function end(trip: Trip, one: Leg): void {
    one.booking.free();
    trips.delete(one.job);
    trip.legs = trip.legs.filter((other) => other !== one);
  }

  function finish(trip: Trip): void {
    trip.outcome.endMs = events.now();
    serving.sweep();
    prefill?.sweep();
    trip.onEnd();
  }

  function go(trip: Trip): void {
    const { request } = trip;
    const promptTokens = request.inputTokens + trip.produced;
    const expectedOutputTokens = trip.outcome.outputTokens - trip.produced;
    const select: SelectRequest = {
      names: trip.blocks.names,
      promptTokens,
      expectedOutputTokens,
      ...(request.session === undefined ? {} : { hints: { sessionId: request.session } }),
    };
    const cached = prefill && serving.selector.estimate(select)?.cachedTokens;
    const isRemote = prefill !== undefined && promptTokens - (cached ?? 0) > options.disaggregateAboveTokens;
    if (!(isRemote && remote(trip, select)) && !local(trip, select)) waiting.push(trip);
  }

  function jobOf(
    trip: Trip,
    mode: Job["mode"],
    steps: Pick<Job, "prefilled" | "finished" | "reserved">,
  ): Job {
    const job: Job = {
      blocks: trip.blocks,
      promptTokens: trip.request.inputTokens + trip.produced,
      outputTokens: trip.outcome.outputTokens,
      produced: trip.produced,
      mode,
      progress(tokens) {
        trip.produced = tokens;
        for (const { booking, job: other } of trip.legs) if (other === job) booking.progress(tokens);
      },
      ...steps,
    };
    return job;
  }

  function gotFirst(trip: Trip, worker: string, tokens: number): void {
    trip.produced = Math.max(trip.produced, tokens);
    trip.outcome.worker = worker;
    if (trip.outcome.firstTokenMs !== undefined) return;
    trip.outcome.firstTokenMs = events.now();
    options.onFirstToken(trip.outcome);
  }

  function local(trip: Trip, select: SelectRequest): boolean {
    const job = jobOf(trip, "full", {
      prefilled(cachedTokens) {
        found(trip, one!, cachedTokens);
        gotFirst(trip, one!.worker.id, job.produced);
      },
      finished() {
        end(trip, one!);
        finish(trip);
      },
    });
    const one: Leg | undefined = leg(trip, serving, select, job);
    if (one !== undefined) run(one);
    return one !== undefined;
  }

  function found(trip: Trip, one: Leg, cachedTokens: number): void {
    one.booking.prefilled({ cachedTokens });
    if (trip.outcome.prefillWorker !== "") return;
    trip.outcome.prefillWorker = one.worker.id;
    trip.outcome.cachedTokens = Math.min(cachedTokens, trip.request.inputTokens);
  }

  function remote(trip: Trip, select: SelectRequest): boolean {
    const attempt = trip.attempt;
    const job = jobOf(trip, "prefill", {
      prefilled(cachedTokens) {
        found(trip, from!, cachedTokens);
        handOff(trip, select, from!, attempt);
      },
      finished() {},
    });
    const from: Leg | undefined = leg(trip, prefill!, { ...select, phase: "prefill" }, job);
    if (from !== undefined) run(from);
    return from !== undefined;
  }

  function handOff(trip: Trip, select: SelectRequest, from: Leg, attempt: number): void {
    const startedMs = events.now();
    const job = jobOf(trip, "decode", {
      reserved(missingTokens, ready) {
        const bytes = missingTokens * options.kvBytesPerToken;
        links.send(from.worker.id, to!.worker.id, bytes, () => {
          if (trip.attempt !== attempt) return;
          options.onTransfer(events.now() - startedMs, bytes);
          from.worker.ranks[from.booking.rank]!.release(from.job);
          end(trip, from);
          ready();
        });
      },
      prefilled() {
        to!.booking.prefilled();
        gotFirst(trip, to!.worker.id, job.produced);
      },
      finished() {
        end(trip, to!);
        finish(trip);
      },
    });
    job.produced = from.job.produced;
    const to: Leg | undefined = leg(
      trip,
      serving,
      { ...select, phase: "decode", heldBy: { worker: from.worker.id, tokens: select.promptTokens } },
      job,
    );
    if (to !== undefined) return run(to);
    from.worker.ranks[from.booking.rank]!.release(from.job);
    end(trip, from);
    waiting.push(trip);
  }

  function restart(trip: Trip): void {
    trip.attempt++;
    trip.outcome.migrations++;
    for (const one of trip.legs) {
      one.booking.free();
      trips.delete(one.job);
      if (!one.worker.isGone) one.worker.ranks[one.booking.rank]!.cancel(one.job);
    }
    trip.legs = [];
    go(trip);
  }

  return {
    start(request, blocks, outcome, onEnd) {
      const most = Math.min(serving.mostTokens, prefill?.mostTokens ?? Infinity);
      if (request.inputTokens + outcome.outputTokens > most) {
        outcome.isRejected = true;
        outcome.endMs = events.now();
        return onEnd();
      }
      go({ request, blocks, outcome, onEnd, produced: 0, legs: [], attempt: 0 });
    },
    retry() {
      const again = waiting;
      waiting = [];
      for (const trip of again) go(trip);
    },
    failed(pool, id) {
      for (const job of pool.fail(id)) {
        const trip = trips.get(job);
        if (trip !== undefined && job.mode !== "prefill")
          trip.produced = Math.max(trip.produced, delivered(trip, job));
      }
      links.drop(id);
      events.at(events.now() + options.failureDetectionMs, () => {
        pool.selector.removeWorker(id);
        const lost = new Set<Trip>();
        for (const trip of trips.values()) if (trip.legs.some((one) => one.worker.id === id)) lost.add(trip);
        for (const trip of lost) restart(trip);
      });
    },
  };
}

/** Tokens that the client has had: none of those that a decode job brought along but did not hand out yet. */
function delivered(trip: Trip, job: Job): number {
  return trip.outcome.firstTokenMs === undefined ? 0 : job.produced;
}
