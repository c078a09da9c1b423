import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { repairTokenizerJson } from "./tokenizer-repair.ts";
import { rememberWords } from "./word-ids.ts";

/** Text to ids. Pure: the same in the main thread and in the tokenizer thread. */
export interface TextEncoding {
  /** Ids of `text`; control tokens written in it count as such; nothing is added in front or behind. */
  encode(text: string): Uint32Array;
}

/**
 * The library keeps the tokens of 10,000 words of up to 256 characters: whole prompts where the pre-tokenizer cuts little,
 * 100 MB in the end. From 13 characters on V8 keeps a piece of a text as a window on all of it: one kept word keeps its prompt.
 */
const cachedWordCharacters = 13;

/** Parses a `tokenizer.json`. Takes time in proportion to its size: about 0.1 s per 30,000 tokens. */
export function createTextEncoding(bytes: Uint8Array): TextEncoding {
  const json = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  const tokenizer = new HuggingFaceTokenizer(repairTokenizerJson(json), {});
  const { model } = tokenizer as { readonly model: { max_length_to_cache?: number } | null };
  const remembered = rememberWords(tokenizer);
  if (model?.max_length_to_cache !== undefined)
    model.max_length_to_cache = remembered === undefined ? cachedWordCharacters : 0;
  const encode =
    remembered ?? ((text) => Uint32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids));
  return { encode: (text) => (text === "" ? new Uint32Array(0) : encode(text)) };
}
