import {
  wrapEngine,
  type ConnectorStyle,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type Handoff,
  type ModelCard,
  type TokenBatch,
} from "@stator/core";

/** Where the two sides of a rendezvous or addressed connector meet: what a bootstrap server does. */
export interface MeetingPlace {
  /** Prefill leaves its KV in the room. */
  leave(room: bigint, handoff: Handoff): void;
  /** Decode waits for it there. */
  take(room: bigint, signal: AbortSignal): Promise<Handoff>;
  /** Rooms that nobody came to take from. */
  readonly left: number;
}

export function createMeetingPlace(): MeetingPlace {
  const rooms = new Map<bigint, Handoff>();
  const waiting = new Map<bigint, (handoff: Handoff) => void>();
  return {
    leave(room, handoff) {
      const take = waiting.get(room);
      waiting.delete(room);
      if (take === undefined) rooms.set(room, handoff);
      else take(handoff);
    },
    take(room, signal) {
      const there = rooms.get(room);
      rooms.delete(room);
      if (there !== undefined) return Promise.resolve(there);
      return new Promise((resolve, reject) => {
        waiting.set(room, resolve);
        const onAbort = (): void => {
          waiting.delete(room);
          reject(signal.reason as Error);
        };
        if (signal.aborted) onAbort();
        else signal.addEventListener("abort", onAbort, { once: true });
      });
    },
    get left() {
      return rooms.size;
    },
  };
}

/**
 * An engine of a sequential connector, made to speak another style: `rendezvous` as SGLang and Mooncake do (both sides are
 * called at once and meet in a room), `addressed` as P2P-NCCL and NIXL push do (prefill is told where decode will be, and
 * pushes there).
 *
 * @param firstEmittedBy whether decode tells prefill's first id (SGLang) or samples it anew (vLLM).
 */
export function styledEngine(
  inner: Engine,
  style: ConnectorStyle,
  place: MeetingPlace,
  firstEmittedBy: "decode" | "nobody" = "nobody",
): Engine {
  if (style === "sequential") return inner;
  const name = `${style}-meeting`;

  async function* generate(request: GenerateRequest, options: GenerateOptions): AsyncGenerator<TokenBatch> {
    const { handoff: met, ...plain } = request;
    if (met?.connector !== name || met.room === undefined) {
      yield* inner.generate(request, options);
      return;
    }
    if (request.mode === "prefill") {
      for await (const batch of inner.generate(plain, options)) {
        const { handoff, ...rest } = batch;
        if (handoff === undefined) {
          yield batch;
          continue;
        }
        // Its first id is decode's to tell or to sample anew; prefill's own stream does not show it.
        place.leave(met.room, { ...handoff, firstEmittedBy });
        if (style === "addressed") {
          yield {
            ...rest,
            ids: [],
            handoff: {
              ...met,
              firstEmittedBy,
              ...(handoff.lease === undefined ? {} : { lease: handoff.lease }),
            },
          };
        } else yield { ...rest, ids: [] };
      }
      return;
    }
    const handoff = await place.take(met.room, options.signal);
    yield* inner.generate({ ...plain, handoff }, options);
  }

  const connectors = [{ name, style, endpoint: new TextEncoder().encode("meeting") }];
  const styled = wrapEngine(inner, { generate });
  return Object.defineProperty(styled, "card", {
    get: (): ModelCard | undefined => (inner.card === undefined ? undefined : { ...inner.card, connectors }),
    enumerable: true,
  });
}
