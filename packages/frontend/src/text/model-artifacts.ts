import { StatorError, type Clock, type Engine, type ModelCard } from "@stator/core";
import { FrontendError } from "../errors.ts";
import { createChatTemplate, type ChatTemplate } from "./template/chat-template.ts";
import type { OffLoop } from "./off-loop/off-loop.ts";
import { createTextEncoding } from "./tokens/tokenizer.ts";
import { waitForCard } from "./wait-for-card.ts";
import { createVocabulary, type TokenizerJson, type Vocabulary } from "./tokens/vocabulary.ts";

/** Everything between text and ids for one model card. */
export interface ModelArtifacts {
  readonly card: ModelCard;
  readonly vocabulary: Vocabulary;
  readonly template: ChatTemplate | undefined;
  /** Ids of a text; off the loop when text or tokenizer is long. */
  encode(text: string, signal: AbortSignal): Uint32Array | Promise<Uint32Array>;
}

/** Texts beyond this are tokenized in a thread, in UTF-16 units: 16,000 take some 8 ms. */
const offLoopTextLength = 16 * 1024;
/** Tokenizers beyond this are only built in the thread: building a 17 MB one takes a second. */
const offLoopTokenizerBytes = 4 * 1024 * 1024;
/** How long a worker may take to hand over a tokenizer, in ms. */
const artifactDeadlineMs = 30_000;

interface Loaded {
  readonly vocabulary: Vocabulary;
  readonly encode: ModelArtifacts["encode"];
}

/**
 * Fetches tokenizers from an engine by digest, each once however many requests wait for it, and keeps the last few. A
 * failed fetch is forgotten, so the next request tries again.
 */
export function createArtifactCache(
  engine: Engine,
  offLoop: OffLoop,
  { clock, workerWaitMs, keep = 4 }: { clock: Clock; workerWaitMs: number; keep?: number },
): { current(signal: AbortSignal): Promise<ModelArtifacts> } {
  const tokenizers = new Map<string, Promise<Loaded>>();
  let last: (ModelArtifacts & { readonly tokenizer: Loaded }) | undefined;

  const load = async (card: ModelCard): Promise<Loaded> => {
    const { digest } = card.tokenizer;
    if (engine.artifact === undefined) {
      throw new FrontendError({
        code: "FRONTEND_TOKENIZER_UNSUPPORTED",
        kind: "incompatible",
        message: `The engine of model ${card.model} has a card but no artifact(): its tokenizer cannot be fetched.`,
      });
    }
    const bytes = await engine.artifact(digest, { signal: AbortSignal.timeout(artifactDeadlineMs) });
    let json: TokenizerJson;
    try {
      json = JSON.parse(new TextDecoder().decode(bytes)) as TokenizerJson;
    } catch (cause) {
      throw new FrontendError({
        code: "FRONTEND_TOKENIZER_UNSUPPORTED",
        kind: "incompatible",
        message: `The artefact ${digest} of model ${card.model} is not a tokenizer.json.`,
        cause,
      });
    }
    const vocabulary = createVocabulary(json);
    const encoding = bytes.length <= offLoopTokenizerBytes ? createTextEncoding(bytes) : undefined;
    return {
      vocabulary,
      encode: (text, signal) =>
        encoding !== undefined && text.length <= offLoopTextLength
          ? encoding.encode(text)
          : offLoop.encode(digest, bytes, text, signal),
    };
  };

  const tokenizer = (card: ModelCard): Promise<Loaded> => {
    const { digest } = card.tokenizer;
    let loading = tokenizers.get(digest);
    if (loading === undefined) {
      loading = load(card);
      tokenizers.set(digest, loading);
      loading.catch(() => tokenizers.delete(digest));
      for (const old of tokenizers.keys()) {
        if (tokenizers.size <= keep) break;
        tokenizers.delete(old);
      }
    }
    return loading;
  };

  return {
    async current(signal) {
      const card = engine.card ?? (await waitForCard(engine, workerWaitMs, clock, signal));
      if (card === undefined) {
        throw new FrontendError({
          code: "FRONTEND_MODEL_NOT_READY",
          kind: "unavailable",
          message: `No worker serves this model, and none came within ${workerWaitMs} ms. Start one, or retry in a moment.`,
          data: { retryAfterMs: 1000 },
        });
      }
      if (last?.card === card) return last;
      const loaded = await abortable(tokenizer(card), signal);
      // Pools make a new card object now and then; what it says decides whether the template must be compiled again.
      const isSameTemplate = last?.tokenizer === loaded && last.card.chatTemplate === card.chatTemplate;
      last = {
        card,
        tokenizer: loaded,
        vocabulary: loaded.vocabulary,
        encode: loaded.encode,
        template: isSameTemplate ? last?.template : templateOf(card, loaded.vocabulary),
      };
      return last;
    },
  };
}

function templateOf(card: ModelCard, vocabulary: Vocabulary): ChatTemplate | undefined {
  if (card.chatTemplate === undefined) return undefined;
  const name = (id: number | undefined): string => (id === undefined ? "" : vocabulary.name(id));
  return createChatTemplate(card.chatTemplate, name(card.specialIds.bos), name(card.specialIds.eos[0]));
}

/** The shared load goes on when one of those who wait for it leaves. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort: () => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } catch (error) {
    if (signal.aborted || StatorError.isInstance(error)) throw error;
    throw new FrontendError({
      code: "FRONTEND_TOKENIZER_FAILED",
      kind: "unavailable",
      message: `The model's tokenizer could not be loaded: ${(error as Error).message}`,
      cause: error,
    });
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
