import type { SessionRequest, SessionResponse } from "@stator/contracts";
import type { SessionPort } from "../session-port.ts";

/** Leads a session to the worker that its first message names. @throws whatever `find` does. */
export async function* routeSession(
  requests: AsyncIterable<SessionRequest>,
  signal: AbortSignal,
  find: (worker: string) => SessionPort,
  frameGapMs = 0,
): AsyncGenerator<SessionResponse> {
  const incoming = requests[Symbol.asyncIterator]();
  const first = await incoming.next();
  const worker = first.done === true ? "" : (first.value.hello?.worker ?? "");
  yield* find(worker).session(resumed(first, incoming), signal, frameGapMs);
}

/** An iterator whose first result was read already. */
function resumed<Message>(
  first: IteratorResult<Message>,
  rest: AsyncIterator<Message>,
): AsyncIterable<Message> {
  let isFirst = true;
  return {
    [Symbol.asyncIterator]: () => ({
      next() {
        if (!isFirst) return rest.next();
        isFirst = false;
        return Promise.resolve(first);
      },
      return: () => rest.return?.() ?? Promise.resolve({ done: true, value: undefined }),
    }),
  };
}
