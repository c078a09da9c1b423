import type { DescMessage, DescMethodStreaming, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { sleep, type Clock, type Deadlines } from "@stator/core";
import { RuntimeError } from "../runtime-error.ts";
import { fromConnectError } from "../wire/connect-error.ts";
import type { ServiceInstance, ServicePool } from "./service-pool.ts";

interface Options {
  readonly pool: ServicePool;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

/** Calls of one request, at most. */
const maxAttempts = 3;

/**
 * A transport that picks an instance for each call, the one with the fewest calls in progress, and asks another one when
 * the call never started there, or when it failed as unavailable and may be repeated.
 */
export function createServiceTransport({ pool, clock, deadlines }: Options): Transport {
  const attempt = async <Answer>(
    signal: AbortSignal | undefined,
    isRepeatable: boolean,
    call: (instance: ServiceInstance) => Promise<Answer>,
  ): Promise<Answer> => {
    const tried = new Set<string>();
    for (let attempts = 1; ; attempts++) {
      const instance = await pool.pick(tried, signal);
      tried.add(instance.id);
      try {
        return await call(instance);
      } catch (error) {
        const failure = judge(error, signal);
        if (failure === "never") instance.health.observe({ type: "neverStarted", cause: error });
        else if (failure === "cut") instance.health.observe({ type: "cut", cause: error });
        const mayRepeat =
          failure === "never" || ((failure === "cut" || failure === "unavailable") && isRepeatable);
        if (!mayRepeat || attempts >= maxAttempts) throw told(error, failure, instance);
        await sleep(clock, Math.random() * deadlines.retryBackoffMs * 2 ** attempts, signal);
      }
    }
  };

  return {
    unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: ConstructorParameters<typeof Headers>[0],
      input: MessageInitShape<I>,
      contextValues?: ContextValues,
    ): Promise<UnaryResponse<I, O>> {
      const isRepeatable = method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
      return attempt(signal, isRepeatable, async (instance) => {
        const done = instance.begin();
        try {
          const waitMs = timeoutMs ?? deadlines.requestMs;
          const answer = await instance.transport.unary(method, signal, waitMs, header, input, contextValues);
          instance.health.observe({ type: "done" });
          return answer;
        } finally {
          done();
        }
      });
    },
    stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: ConstructorParameters<typeof Headers>[0],
      input: AsyncIterable<MessageInitShape<I>>,
      contextValues?: ContextValues,
    ): Promise<StreamResponse<I, O>> {
      // What was read of the input is gone: a stream is only led elsewhere when its connection never opened.
      return attempt(signal, false, async (instance) => {
        const done = instance.begin();
        try {
          const answer = await instance.transport.stream(
            method,
            signal,
            timeoutMs,
            header,
            input,
            contextValues,
          );
          return { ...answer, message: finishing(answer.message, instance, signal, done) };
        } catch (error) {
          done();
          throw error;
        }
      });
    },
  };
}

type Failure = "never" | "cut" | "unavailable" | "answered";

async function* finishing<Message>(
  messages: AsyncIterable<Message>,
  instance: ServiceInstance,
  signal: AbortSignal | undefined,
  done: () => void,
): AsyncGenerator<Message> {
  try {
    yield* messages;
  } catch (error) {
    const failure = judge(error, signal);
    if (failure === "cut") instance.health.observe({ type: "cut", cause: error });
    throw told(error, failure, instance);
  } finally {
    done();
  }
}

/** What the caller gets: errors that the service meant as it meant them, broken connections as what they are. */
function told(error: unknown, failure: Failure, instance: ServiceInstance): unknown {
  const known = fromConnectError(error);
  if (known !== undefined || (failure !== "cut" && failure !== "never")) return known ?? error;
  return new RuntimeError({
    code: "RUNTIME_SERVICE_UNAVAILABLE",
    kind: "unavailable",
    message: `${instance.id} ${failure === "cut" ? "broke off the call" : "could not be reached"}.`,
    cause: error,
    data: { service: instance.id, observation: failure === "cut" ? "cut" : "neverStarted" },
  });
}

/**
 * `never`: the call did not reach the instance. `cut`: the connection broke under it. `unavailable`: the service said so.
 * `answered`: an error of the service's own, or our own abort.
 */
function judge(
  error: unknown,
  signal: AbortSignal | undefined,
): "never" | "cut" | "unavailable" | "answered" {
  if (signal?.aborted === true) return "answered";
  const known = fromConnectError(error);
  if (known?.data?.["observation"] === "neverStarted") return "never";
  if (known !== undefined) return known.kind === "unavailable" ? "unavailable" : "answered";
  const { code, cause } = ConnectError.from(error);
  const causes = [cause, cause instanceof Error ? cause.cause : undefined];
  if (
    causes.some(
      (each) =>
        (each as { data?: { observation?: unknown } } | undefined)?.data?.observation === "neverStarted",
    )
  )
    return "never";
  if (causes.some((each) => (each as { code?: unknown } | undefined)?.code === "ECONNREFUSED"))
    return "never";
  if (code === Code.Unavailable) return "unavailable";
  // connect-es calls a killed peer `Canceled`, a reset connection `Aborted`.
  return code === Code.Canceled || code === Code.Aborted ? "cut" : "answered";
}
