import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import {
  contractVersion,
  hashSchemeXxh3,
  type GenerationDefaults,
  type KvGroup,
  type ModelCard,
} from "@stator/core";

import { blockConnector } from "../../handoff/offer-book.ts";
import { convertTokenizer, type ConvertedTokenizer } from "../gguf/convert-tokenizer.ts";
import { preTokenizers } from "../gguf/pre-tokenizers.ts";
import { booleanOf, numberOf, stringOf, type GgufHeader } from "../gguf/read-gguf.ts";
import { weightsDigest } from "../gguf/weights-digest.ts";
import type { LlamaEngineOptions } from "../options.ts";
import type { KvLayout } from "../kv/state-file.ts";

const defaultContextTokens = 4_096;

/** What a GGUF file says, before anything is loaded. */
export interface GgufFacts {
  readonly header: GgufHeader;
  readonly architecture: string;
  readonly name: string;
  readonly isBundled: boolean;
  readonly contextTokens: number;
  /** Why its KV is not a plain prefix, if so. */
  readonly kvLimit: { readonly group: KvGroup; readonly sentence: string } | undefined;
}

export function ggufFacts(header: GgufHeader, options: LlamaEngineOptions): GgufFacts {
  const architecture = stringOf(header, "general.architecture") ?? "unknown";
  const trained = numberOf(header, `${architecture}.context_length`) ?? defaultContextTokens;
  const ownName = stringOf(header, "general.name");
  const windowTokens = numberOf(header, `${architecture}.attention.sliding_window`) ?? 0;
  const isRecurrent =
    numberOf(header, `${architecture}.ssm.state_size`) !== undefined ||
    /^(mamba|rwkv|arwkv)/.test(architecture);
  const kvLimit: GgufFacts["kvLimit"] = isRecurrent
    ? {
        group: { kind: "recurrent" },
        sentence: `${architecture} keeps a recurrent state in place of KV blocks, so this engine serves it aggregated only.`,
      }
    : windowTokens > 0
      ? {
          group: { kind: "sliding_window", windowTokens },
          sentence: `${architecture} has sliding-window attention over ${windowTokens} tokens, whose KV cannot be cut into blocks, so this engine serves it aggregated only.`,
        }
      : undefined;
  return {
    header,
    architecture,
    name: options.model ?? ownName ?? path.basename(options.modelPath, ".gguf"),
    isBundled: ownName?.startsWith("stator-tiny-") === true,
    contextTokens: options.contextTokens ?? Math.min(trained, defaultContextTokens),
    kvLimit,
  };
}

export interface LlamaCard {
  readonly card: ModelCard;
  readonly tokenizer: Uint8Array;
}

export interface LlamaCardOptions {
  readonly options: LlamaEngineOptions;
  readonly facts: GgufFacts;
  /** How KV lies in state files; undefined when it cannot be cut into blocks. */
  readonly layout: KvLayout | undefined;
  readonly blockTokens: number;
  readonly batchInvariant: boolean;
  readonly endIds: readonly number[];
}

/** The card of a model file, with its tokenizer as the artefact that the card names. */
export async function llamaCard({
  options,
  facts,
  layout,
  blockTokens,
  batchInvariant,
  endIds,
}: LlamaCardOptions): Promise<LlamaCard> {
  const { header, architecture } = facts;
  const { json, digest } = await tokenizerOf(header, options.tokenizerPath);
  const chatTemplate = stringOf(header, "tokenizer.chat_template");
  const id = (name: string): number | undefined => numberOf(header, `tokenizer.ggml.${name}_token_id`);
  const optional = { bos: id("bos"), unknown: id("unknown"), pad: id("padding") };
  const kvKind = {
    architecture,
    blockTokens,
    layout: layout && { ...layout, streams: 0 },
    rope: numberOf(header, `${architecture}.rope.freq_base`),
  };
  return {
    tokenizer: new TextEncoder().encode(json),
    card: {
      model: facts.name,
      tokenizer: { format: "hf-json", digest },
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
      specialIds: {
        ...(optional.bos === undefined ? {} : { bos: optional.bos }),
        ...(optional.unknown === undefined ? {} : { unknown: optional.unknown }),
        ...(optional.pad === undefined ? {} : { pad: optional.pad }),
        eos: endIds,
      },
      addBos: booleanOf(header, "tokenizer.ggml.add_bos_token") ?? addsBosByDefault(header),
      generationDefaults: generationDefaults(header),
      contextTokens: facts.contextTokens,
      blockTokens,
      hashScheme: hashSchemeXxh3,
      weightsDigest: await weightsDigest(options.modelPath),
      kvLayoutDigest: createHash("sha256").update(JSON.stringify(kvKind)).digest("hex"),
      kvGroups: [facts.kvLimit?.group ?? { kind: "full_attention" }],
      connectors: layout === undefined ? [] : [{ name: blockConnector, style: "sequential" }],
      resume: { rng: true, penalties: true, grammar: false, logprobs: batchInvariant },
      batchInvariant,
      tasks: chatTemplate === undefined ? ["completion"] : ["chat", "completion"],
      adapters: [],
      contract: { min: 1, max: contractVersion },
    },
  };
}

async function tokenizerOf(
  header: GgufHeader,
  tokenizerPath: string | undefined,
): Promise<ConvertedTokenizer> {
  if (tokenizerPath === undefined) return convertTokenizer(header);
  const json = await readFile(tokenizerPath, "utf8");
  return { json, digest: createHash("sha256").update(json).digest("hex") };
}

function generationDefaults(header: GgufHeader): GenerationDefaults {
  const entries = [
    ["temperature", "temp"],
    ["topP", "top_p"],
    ["topK", "top_k"],
    ["minP", "min_p"],
    ["repetitionPenalty", "penalty_repeat"],
  ].flatMap(([ours, theirs]) => {
    const value = numberOf(header, `general.sampling.${theirs}`);
    return value === undefined ? [] : [[ours, value] as const];
  });
  return Object.fromEntries(entries) as GenerationDefaults;
}

/** What llama.cpp does where the file is silent: SentencePiece, and the Llama 3 and Tekken families of BPE, start with BOS. */
function addsBosByDefault(header: GgufHeader): boolean {
  if (stringOf(header, "tokenizer.ggml.model") === "llama") return true;
  return preTokenizers.get(stringOf(header, "tokenizer.ggml.pre") ?? "")?.ignoresMerges === true;
}
