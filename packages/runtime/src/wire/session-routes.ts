import type { ConnectRouter } from "@connectrpc/connect";
import { BulkService, SessionService } from "@stator/contracts";
import { routeSession } from "../session/worker/route-session.ts";
import type { SessionPort } from "../session/session-port.ts";
import { toConnectError } from "./connect-error.ts";

/**
 * A frame costs some 40 µs on each side, whatever it carries. The first token after a pause goes at once; those that
 * follow faster than this share a frame.
 */
const frameGapMs = 1;

/** Serves the workers of this process: the first message, or the request, names which. */
export function sessionRoutes(router: ConnectRouter, find: (worker: string) => SessionPort): void {
  router.service(SessionService, {
    session: (requests, context) =>
      translated(() => routeSession(requests, context.signal, find, frameGapMs)),
  });
  router.service(BulkService, {
    fetch: (request, context) => translated(() => find(request.worker).fetch(request, context.signal)),
  });
}

async function* translated<Message>(serve: () => AsyncIterable<Message>): AsyncGenerator<Message> {
  try {
    yield* serve();
  } catch (error) {
    throw toConnectError(error);
  }
}
