import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { TokenizerFile } from "@stator/core";

/** `<|endoftext|>`: ends a document. */
export const endOfTextId: number = 256;
/** `<|im_start|>`: starts a turn. */
export const startOfTurnId: number = 257;
/** `<|im_end|>`: ends a turn; what the simulated engine ends with. */
export const endOfTurnId: number = 258;

const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** GPT-2's bytes-to-unicode table: bytes that print stand for themselves, the others follow from U+0100 on. */
function byteSymbols(): string[] {
  const prints = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let extra = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(prints(byte) ? byte : 256 + extra++));
}

/** A byte-level tokenizer: id `b` is byte `b`, then three special ids. Every text tokenizes, without merges. */
export function simulatedTokenizer(): TokenizerFile {
  const special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map((content, index) => ({
    id: endOfTextId + index,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };
  const vocab = Object.fromEntries([
    ...byteSymbols().map((symbol, byte) => [symbol, byte] as const),
    ...special.map(({ content, id }) => [content, id] as const),
  ]);
  const json = JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges: [],
    },
  });
  return {
    json,
    digest: bytesToHex(sha256(new TextEncoder().encode(json))),
    specialIds: { eos: [endOfTurnId, endOfTextId] },
    addBos: false,
    chatTemplate,
  };
}
