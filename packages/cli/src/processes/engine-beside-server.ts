import { setTimeout as delay } from "node:timers/promises";
import { CoreError, type LayoutEngine, type Logger } from "@stator/core";
import type { ServerEngine } from "@stator/engines/vllm";
import { llamaServerConnector, sglangConnector, trtllmConnector, vllmConnector } from "./server-connector.ts";
import { spawnServer, type SpawnedServer } from "./spawn-server.ts";

/** Engines that are servers of their own. */
export type ServerLayoutEngine = Extract<
  LayoutEngine,
  { kind: "vllm" | "sglang" | "trtllm" | "llama-server" }
>;

export interface ServerContext {
  /** Name that clients say. */
  readonly model: string;
  readonly logger: Logger;
  /** Called when the server is gone for good: this process has nothing left to serve. */
  readonly onGone: (reason: string) => void;
  /** Longest wait for a server that loads its weights, ms. Default 30 minutes. */
  readonly readyMs?: number;
}

const readyDefaultMs = 30 * 60_000;
/** How often a server that loads is asked. */
const askEveryMs = 500;

/** Starts the engine's server where the layout says so, waits until it answers, and makes an engine of it. */
export async function engineBesideServer(
  layout: ServerLayoutEngine,
  context: ServerContext,
): Promise<ServerEngine> {
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(() => {});
  let isReady = false;
  let spawned: SpawnedServer | undefined;
  if (layout.command !== undefined) {
    spawned = await spawnServer({
      command: layout.command,
      environment: layout.environment,
      logger: context.logger,
      ...(layout.url === undefined ? {} : { port: Number(new URL(layout.url).port) }),
      onExit(reason) {
        if (isReady) context.onGone(reason);
        else fail(notReady(reason));
      },
    });
  } else if (layout.url === undefined) {
    throw new CoreError({
      code: "CORE_OPTION_INVALID",
      kind: "invalid",
      message: `An engine of kind ${layout.kind} needs the url of its server, or the command that starts one.`,
      data: { option: "url" },
    });
  }
  const url = layout.url ?? `http://127.0.0.1:${spawned!.port}`;
  try {
    const { kvEvents } = layout;
    const started =
      spawned === undefined || kvEvents === undefined
        ? layout
        : { ...layout, kvEvents: spawned.fill(kvEvents) };
    const engine = await engineOf(started, url, context);
    const close = engine.close.bind(engine);
    engine.close = async () => {
      await close();
      await spawned?.stop();
    };
    try {
      await Promise.race([failed, ready(engine, url, layout.command !== undefined, context)]);
    } catch (error) {
      await close();
      throw error;
    }
    isReady = true;
    return engine;
  } catch (error) {
    await spawned?.stop();
    throw error;
  }
}

async function ready(
  engine: ServerEngine,
  url: string,
  isOurs: boolean,
  { logger, readyMs = readyDefaultMs }: ServerContext,
): Promise<void> {
  const deadline = performance.now() + readyMs;
  for (let asked = 0; ; asked++) {
    try {
      await engine.ready();
      return;
    } catch (error) {
      if (performance.now() > deadline)
        throw notReady(`${url} did not become ready within ${readyMs} ms: ${String(error)}`);
      if (asked === 0 || !isOurs)
        logger.info("waiting for the engine's server", { url, error: String(error) });
      await delay(askEveryMs);
    }
  }
}

function notReady(reason: string): CoreError {
  return new CoreError({
    code: "CORE_UNSUPPORTED",
    kind: "unavailable",
    message: `The engine's server did not come up: ${reason}`,
  });
}

async function engineOf(
  layout: ServerLayoutEngine,
  url: string,
  context: ServerContext,
): Promise<ServerEngine> {
  const { connector, kvEvents, tokenizerPath, contextTokens, servedModel, vocabulary, silentMs, holdMs } =
    layout;
  const apiKey = process.env["STATOR_ENGINE_KEY"];
  const common = {
    url,
    logger: context.logger,
    card: { model: context.model, ...(contextTokens === undefined ? {} : { contextTokens }) },
    onGone: (error: Error) => context.onGone(error.message),
    ...(tokenizerPath === undefined ? {} : { tokenizerPath }),
    ...(servedModel === undefined ? {} : { model: servedModel }),
    ...(vocabulary === undefined ? {} : { vocabulary }),
    ...(silentMs === undefined ? {} : { silentMs }),
    ...(apiKey === undefined || apiKey === "" ? {} : { apiKey }),
  };
  const events = kvEvents === undefined ? {} : { kvEvents };
  switch (layout.kind) {
    case "vllm": {
      const { vllm } = await import("@stator/engines/vllm");
      return vllm({
        ...common,
        ...events,
        ...(connector === undefined ? {} : { connector: vllmConnector(connector, holdMs) }),
      });
    }
    case "sglang": {
      const { sglang } = await import("@stator/engines/sglang");
      return sglang({
        ...common,
        ...events,
        ...(connector === undefined ? {} : { connector: sglangConnector(connector) }),
      });
    }
    case "trtllm": {
      const { trtllm } = await import("@stator/engines/trtllm");
      return trtllm({
        ...common,
        // Its events are polled at the server itself, whatever the address says.
        ...(kvEvents === undefined ? {} : { kvEvents: true }),
        ...(connector === undefined ? {} : { connector: trtllmConnector(connector, holdMs) }),
      });
    }
    case "llama-server": {
      const { llamaServer } = await import("@stator/engines/llama-server");
      return llamaServer({
        ...common,
        ...(connector === undefined ? {} : { connector: llamaServerConnector(connector) }),
      });
    }
  }
}
