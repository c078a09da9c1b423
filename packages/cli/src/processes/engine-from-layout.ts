import type { Engine, LayoutEngine, Logger, Meter } from "@stator/core";
import type { ServerEngine } from "@stator/engines/vllm";
import type { SharedTierOptions, TransferEnds } from "@stator/kv-transfer";
import { llamaTiers } from "./llama-tiers.ts";

export interface EngineContext {
  /** Name that clients say. */
  readonly model: string;
  /** Id of the worker that it is for. */
  readonly worker: string;
  readonly transfer: TransferEnds;
  /** Reaches a `stator transfer store` by name. */
  readonly sharedCache: (name: string) => SharedTierOptions;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** An engine that this process made and must close. */
export type OwnedEngine = Engine & { close(): Promise<void> } & Partial<Pick<ServerEngine, "size">>;

/**
 * Makes the engine that a layout names, in this process. Engines are imported when they are used, so that their peers
 * stay optional.
 *
 * @throws what the engine's own factory throws.
 */
export async function engineFromLayout(engine: LayoutEngine, context: EngineContext): Promise<OwnedEngine> {
  const { model, worker, transfer, logger, meter } = context;
  switch (engine.kind) {
    case "llama": {
      const { createLlamaEngine, tinyModelPath } = await import("@stator/engines/llama");
      return createLlamaEngine({
        model,
        transfer,
        logger,
        meter,
        tiers: llamaTiers(engine, worker, context.sharedCache),
        modelPath: engine.modelPath ?? tinyModelPath(),
        ...picked(engine, ["contextTokens", "sequences", "exact"]),
      });
    }
    case "simulated": {
      const { createSimulatedEngine, linearStepTime } = await import("@stator/engines/simulated");
      const { stepMs = 0, prefillTokensPerSecond, sequences } = engine;
      return createSimulatedEngine({
        model,
        transfer,
        stepTime: linearStepTime({
          baseMs: stepMs,
          ...(prefillTokensPerSecond === undefined
            ? {}
            : { perPrefillTokenMs: 1000 / prefillTokensPerSecond }),
        }),
        ...(sequences === undefined ? {} : { maxRunning: sequences }),
        ...picked(engine, ["contextTokens", "kvBlocks", "blockTokens"]),
        // A worker process whose engine crashed has nothing left to do; its supervisor starts a new one.
        onCrash: (reason) => {
          logger.error("the simulated engine crashed", { reason });
          process.exit(70);
        },
      });
    }
    case "vllm":
    case "sglang":
    case "trtllm":
    case "llama-server": {
      const { engineBesideServer } = await import("./engine-beside-server.ts");
      return engineBesideServer(engine, {
        model,
        logger,
        onGone(reason) {
          logger.error("the engine's server is gone", { reason });
          process.exit(70);
        },
      });
    }
  }
}

/** The given keys of an object that are not undefined. */
function picked<T extends object, K extends keyof T>(
  from: T,
  keys: readonly K[],
): { [P in K]?: Exclude<T[P], undefined> } {
  const result: { [P in K]?: Exclude<T[P], undefined> } = {};
  for (const key of keys) {
    const value = from[key];
    if (value !== undefined) result[key] = value as Exclude<T[K], undefined>;
  }
  return result;
}
