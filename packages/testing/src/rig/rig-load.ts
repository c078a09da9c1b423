import { StatorError, type Engine, type GenerateRequest, type RequestEvent } from "@stator/core";

import { collect, type Collected } from "../collect/collect.ts";
import { checkHistory, type Violation } from "../history/check-history.ts";
import { createHistory } from "../history/history.ts";

export interface RigLoadOptions {
  readonly engine: Engine;
  /** Requests at once; each client sends its next one when the last is answered. */
  readonly clients: number;
  /** The n-th request, from 0; its id must be its own. */
  readonly request: (n: number) => GenerateRequest;
  /** Asked before each request; the load ends once all clients have heard true. */
  readonly isOver: (sent: number) => boolean;
}

/** One request of a load, as far as it is. */
export interface RigRequest {
  readonly request: GenerateRequest;
  readonly sentMs: number;
  /** Ends it as its client going away does. */
  readonly leave: () => void;
  readonly events: readonly RequestEvent[];
  /** Who generates it now; undefined before it was placed. */
  readonly worker: string | undefined;
  /** Output tokens so far, and when the last came. */
  readonly tokens: number;
  readonly lastTokenMs: number;
  readonly firstTokenMs: number | undefined;
  readonly longestGapMs: number;
  readonly leftMs: number | undefined;
  readonly result?: Collected;
  readonly error?: StatorError;
}

export interface RigLoad {
  readonly requests: readonly RigRequest[];
  /** Those without an end yet. */
  inFlight(): RigRequest[];
  /** Resolves when every client is done. */
  readonly done: Promise<void>;
  violations(): readonly Violation[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Clients that send one request after the other to an engine, and note everything. */
export function startRigLoad({ engine, clients, request, isOver }: RigLoadOptions): RigLoad {
  const history = createHistory();
  const recorded = history.record(engine);
  const all: RigRequest[] = [];
  const running = new Set<RigRequest>();

  const send = async (n: number): Promise<void> => {
    const controller = new AbortController();
    const events: RequestEvent[] = [];
    const sentMs = performance.now();
    const one: Mutable<RigRequest> = {
      request: request(n),
      sentMs,
      leave() {
        one.leftMs = performance.now();
        controller.abort();
      },
      events,
      worker: undefined,
      tokens: 0,
      lastTokenMs: sentMs,
      firstTokenMs: undefined,
      longestGapMs: 0,
      leftMs: undefined,
    };
    all.push(one);
    running.add(one);
    const counted: Engine = {
      card: engine.card,
      async *generate(asked, options) {
        for await (const batch of recorded.generate(asked, options)) {
          const nowMs = performance.now();
          if (one.firstTokenMs === undefined) one.firstTokenMs = nowMs;
          else one.longestGapMs = Math.max(one.longestGapMs, nowMs - one.lastTokenMs);
          one.tokens += batch.ids.length;
          one.lastTokenMs = nowMs;
          yield batch;
        }
      },
    };
    try {
      one.result = await collect(counted, one.request, {
        signal: controller.signal,
        onEvent(event) {
          if (event.type === "tokens") return;
          events.push(event);
          if (event.type === "routed" && event.phase !== "prefill") one.worker = event.worker;
        },
      });
    } catch (error) {
      one.error = StatorError.from(error);
    } finally {
      running.delete(one);
    }
  };

  let sent = 0;
  const client = async (): Promise<void> => {
    while (!isOver(sent)) await send(sent++);
  };
  return {
    requests: all,
    inFlight: () => [...running],
    done: Promise.all(Array.from({ length: clients }, client)).then(() => undefined),
    violations: () => checkHistory(history.entries),
  };
}
