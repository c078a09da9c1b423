import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { repairTokenizerJson } from "./tokenizer-repair.ts";

/** Text to ids. Pure: the same in the main thread and in the tokenizer thread. */
export interface TextEncoding {
  /** Ids of `text`; control tokens written in it count as such; nothing is added in front or behind. */
  encode(text: string): Uint32Array;
}

/** Parses a `tokenizer.json`. Takes time in proportion to its size: about 0.1 s per 30,000 tokens. */
export function createTextEncoding(bytes: Uint8Array): TextEncoding {
  const json = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  const tokenizer = new HuggingFaceTokenizer(repairTokenizerJson(json), {});
  return {
    encode: (text) =>
      text === ""
        ? new Uint32Array(0)
        : Uint32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids),
  };
}
