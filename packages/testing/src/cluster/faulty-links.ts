import type { SessionLink } from "@stator/runtime";

type LinkMessage = ReturnType<SessionLink["session"]> extends AsyncIterable<infer Message> ? Message : never;
type LinkRequest =
  Parameters<SessionLink["session"]>[0] extends AsyncIterable<infer Message> ? Message : never;

/** How the links to one worker behave. */
export interface LinkState {
  /** What the worker says does not arrive: kept while `frozen`, lost while `lost`. */
  down: "open" | "frozen" | "lost";
  /** The same for what the caller says. */
  up: "open" | "frozen" | "lost";
}

/** Ways to workers that can be hurt, by worker id. */
export interface FaultyLinks {
  throughLink(link: SessionLink): SessionLink;
  set(worker: string, state: Partial<LinkState>): void;
}

export function createFaultyLinks(): FaultyLinks {
  const states = new Map<string, LinkState>();
  const waiting = new Set<() => void>();
  const stateOf = (worker: string): LinkState => {
    let state = states.get(worker);
    if (state === undefined) states.set(worker, (state = { down: "open", up: "open" }));
    return state;
  };

  async function* hurt<Message>(
    messages: AsyncIterable<Message>,
    direction: keyof LinkState,
    worker: () => string,
    signal: AbortSignal,
  ): AsyncGenerator<Message> {
    for await (const message of messages) {
      const state = stateOf(worker());
      while (state[direction] === "frozen" && !signal.aborted) await changed(signal);
      if (signal.aborted) return;
      if (state[direction] === "lost") continue;
      yield message;
    }
  }

  const changed = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const go = (): void => {
        waiting.delete(go);
        signal.removeEventListener("abort", go);
        resolve();
      };
      waiting.add(go);
      signal.addEventListener("abort", go, { once: true });
    });

  return {
    throughLink(link) {
      return {
        session(requests, signal) {
          let worker = "";
          async function* named(): AsyncGenerator<LinkRequest> {
            for await (const request of requests) {
              worker = request.hello?.worker ?? worker;
              yield request;
            }
          }
          const up = hurt(named(), "up", () => worker, signal);
          return cutShort<LinkMessage>(
            hurt(link.session(up, signal), "down", () => worker, signal),
            signal,
          );
        },
        fetch: (request, signal) => link.fetch(request, signal),
        close: () => link.close(),
      };
    },
    set(worker, state) {
      Object.assign(stateOf(worker), state);
      for (const go of [...waiting]) go();
    },
  };
}

/** Ends with the signal even while the inner one waits for a message that never comes. */
async function* cutShort<Message>(
  messages: AsyncIterable<Message>,
  signal: AbortSignal,
): AsyncGenerator<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  let onAbort = (): void => {};
  const aborted = new Promise<IteratorResult<Message>>((resolve) => {
    onAbort = () => resolve({ done: true, value: undefined });
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), aborted]);
      if (done === true) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    void iterator.return?.().catch(() => {});
  }
}
