import { EnginesError } from "../errors/engines-error.ts";

/** The part of node-llama-cpp that is used; its types are a peer's, so they stay inside this folder. */
export type LlamaLibrary = typeof import("node-llama-cpp");

/**
 * Loads the optional peer `node-llama-cpp`.
 *
 * @throws EnginesError `ENGINES_LLAMA_MISSING`
 */
export async function loadLibrary(): Promise<LlamaLibrary> {
  try {
    return await import("node-llama-cpp");
  } catch (cause) {
    throw new EnginesError({
      code: "ENGINES_LLAMA_MISSING",
      kind: "unavailable",
      message: "The llama engine needs node-llama-cpp, an optional peer: run `npm install node-llama-cpp@3.21.1`.",
      cause,
    });
  }
}

/** One llama.cpp in this process, without a download or a build. */
export async function openLlama(library: LlamaLibrary, threads: number): Promise<Awaited<ReturnType<LlamaLibrary["getLlama"]>>> {
  try {
    return await library.getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      // llama.cpp's threads spin at barriers: with more threads than idle cores a token takes milliseconds.
      maxThreads: threads,
      logLevel: library.LlamaLogLevel.error,
      progressLogs: false,
    });
  } catch (cause) {
    throw new EnginesError({
      code: "ENGINES_LLAMA_MISSING",
      kind: "unavailable",
      message: `node-llama-cpp has no ready binary for ${process.platform}-${process.arch}: install @node-llama-cpp/${process.platform}-${process.arch}, or use another engine.`,
      cause,
    });
  }
}
