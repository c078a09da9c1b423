import { CoreError, type Engine, type LayoutEngine } from "@stator/core";

/** What an engine process needs to know besides its layout entry. */
export interface EngineContext {
  readonly model: string;
  readonly role: "prefill" | "decode" | "both";
}

/** Makes the engine that a layout names. Engines are imported when they are used, so that their peers stay optional. */
export async function engineFromLayout(engine: LayoutEngine, context: EngineContext): Promise<Engine> {
  switch (engine.kind) {
    case "llama": {
      const { createLlamaEngine, tinyModelPath } = await import("@stator/engines/llama");
      const { modelPath = tinyModelPath(), kind: _kind, ...options } = engine;
      return createLlamaEngine({ model: context.model, modelPath, ...defined(options) });
    }
    case "simulated": {
      const { createSimulatedEngine } = await import("@stator/engines/simulated");
      const { kind: _kind, ...options } = engine;
      return createSimulatedEngine({ model: context.model, ...defined(options) });
    }
    case "vllm":
    case "sglang":
    case "trtllm":
    case "llama-server":
      throw new CoreError({
        code: "CORE_UNSUPPORTED",
        kind: "invalid",
        message: `Engine "${engine.kind}" is served by \`stator worker --engine ${engine.kind} --url …\`.`,
      });
  }
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Drops keys that are present but undefined, as zod's optional fields may be. */
function defined<T extends object>(options: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<
    Defined<T>
  >;
}
