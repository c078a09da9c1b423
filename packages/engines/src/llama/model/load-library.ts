import { EnginesError } from "../../errors/engines-error.ts";

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
      message:
        "The llama engine needs node-llama-cpp, an optional peer: run `npm install node-llama-cpp@3.21.1`.",
      cause,
    });
  }
}

type Llama = Awaited<ReturnType<LlamaLibrary["getLlama"]>>;

/** A share in this process's llama.cpp; the last one to be released disposes it. */
export interface LlamaShare {
  readonly llama: Llama;
  release(): Promise<void>;
}

interface Shared {
  readonly opening: Promise<Llama>;
  users: number;
}

// One per thread count: node-llama-cpp holds listeners on the process for each.
const shares = new Map<number, Shared>();

/**
 * Opens llama.cpp without a download or a build.
 *
 * @throws EnginesError `ENGINES_LLAMA_MISSING`
 */
export async function shareLlama(library: LlamaLibrary, threads: number): Promise<LlamaShare> {
  const shared = shares.get(threads) ?? { opening: open(library, threads), users: 0 };
  shares.set(threads, shared);
  shared.users++;
  let isReleased = false;
  const release = async (): Promise<void> => {
    if (isReleased) return;
    isReleased = true;
    if (--shared.users > 0) return;
    shares.delete(threads);
    await (await shared.opening).dispose();
  };
  try {
    return { llama: await shared.opening, release };
  } catch (error) {
    shares.delete(threads);
    throw error;
  }
}

async function open(library: LlamaLibrary, threads: number): Promise<Llama> {
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
