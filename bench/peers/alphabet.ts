const a = 97;
const z = 122;

/** The byte that the engines of this comparison say after another one: the next letter, and `a` after anything else. */
export function successor(byte: number): number {
  return byte >= a && byte < z ? byte + 1 : a;
}

/** What they say after a prompt. */
export function alphabetAfter(prompt: string, length: number): string {
  let last = prompt.charCodeAt(prompt.length - 1);
  let text = "";
  for (let i = 0; i < length; i++) text += String.fromCharCode((last = successor(last)));
  return text;
}

/** A Hugging Face tokenizer whose ids are bytes, so that every system serves the same tokens. */
export function byteTokenizer(): string {
  const vocab: Record<string, number> = {};
  let extra = 0;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    vocab[String.fromCodePoint(isPrintable ? byte : 256 + extra++)] = byte;
  }
  return JSON.stringify({
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    post_processor: null,
    decoder: { type: "ByteLevel" },
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    model: { type: "BPE", vocab, merges: [] },
  });
}
