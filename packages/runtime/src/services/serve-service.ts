import { create, type DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { RegistrationSchema } from "@stator/contracts";
import { contractVersion } from "@stator/core";
import { register } from "../discovery/registrar.ts";
import { newEpoch, randomName, type RuntimeContext } from "../runtime-context.ts";
import { RuntimeError } from "../runtime-error.ts";
import { toConnectError } from "../wire/connect-error.ts";

export interface ServeServiceOptions {
  /** Which of several deployments of this service. Default "default". */
  readonly name?: string;
  /** Unique in the namespace. Default: the service's type, name and a random part. */
  readonly id?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A service that others can call. */
export interface ServedService extends AsyncDisposable {
  readonly id: string;
  /** Callers go elsewhere from here on, if they can. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export async function serveService<Service extends DescService>(
  context: RuntimeContext,
  service: Service,
  implementation: Partial<ServiceImpl<Service>>,
  options: ServeServiceOptions,
  onEnd: (served: ServedService) => void,
): Promise<ServedService> {
  const { end, logger } = context;
  const { name = "default" } = options;
  const id = options.id ?? `${service.typeName}-${name}-${randomName(6)}`;
  if ([...end.services.keys()].some((each) => each === id || each.startsWith(`${service.typeName}\n`))) {
    throw new RuntimeError({
      code: "RUNTIME_OPTION_INVALID",
      kind: "invalid",
      message: `${service.typeName} is served by this runtime already; serve it once in a process.`,
    });
  }
  const key = `${service.typeName}\n${id}`;
  end.services.set(key, (router) => router.service(service, translated(implementation)));
  const address = await context.listen();
  await context.reroute();
  let isOver = false;

  const finish = async (): Promise<void> => {
    if (isOver) return;
    isOver = true;
    onEnd(served);
    await registrar.withdraw();
    end.services.delete(key);
    await context.reroute();
  };

  const registrar = await register({
    ...context,
    record: create(RegistrationSchema, {
      id,
      epoch: newEpoch(),
      address,
      contract: { min: 1, max: contractVersion },
      subject: {
        case: "service",
        value: { typeName: service.typeName, name, labels: { ...options.labels } },
      },
      pid: process.pid,
    }),
    onFenced(error) {
      logger.error("another life of this service took over", { service: id, error: error.message });
      void finish();
    },
  });

  const served: ServedService = {
    id,
    drain() {
      registrar.update((record) => (record.draining = true));
      return Promise.resolve();
    },
    close: finish,
    [Symbol.asyncDispose]: finish,
  };
  return served;
}

type AnyMethod = (...call: readonly unknown[]) => unknown;

/** The same methods; a StatorError that one throws reaches the caller with its kind, code and data. */
function translated<Service extends DescService>(
  implementation: Partial<ServiceImpl<Service>>,
): Partial<ServiceImpl<Service>> {
  const methods = Object.entries(implementation).map(([name, method]): [string, AnyMethod] => [
    name,
    (...call) => {
      let answer: unknown;
      try {
        answer = (method as AnyMethod).apply(implementation, [...call]);
      } catch (error) {
        throw toConnectError(error);
      }
      if (isStream(answer)) return translatedStream(answer);
      return Promise.resolve(answer).catch((error: unknown) => {
        throw toConnectError(error);
      });
    },
  ]);
  return Object.fromEntries(methods) as Partial<ServiceImpl<Service>>;
}

function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}

async function* translatedStream(messages: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  try {
    yield* messages;
  } catch (error) {
    throw toConnectError(error);
  }
}
