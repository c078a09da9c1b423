// Regular expressions as the models' own tokenizer.json files have them; the names are those of `tokenizer.ggml.pre`.
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const llama3 = `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const qwen2 = `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
const tekken = `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** How a byte-level BPE cuts text before it merges. */
export interface PreTokenizer {
  /** One regular expression whose matches are the words. */
  readonly pattern: string;
  /** Digits stand alone before the pattern is applied. */
  readonly splitsDigits: boolean;
  /** A word that is a token as a whole is not taken apart. */
  readonly ignoresMerges: boolean;
}

const plain = (pattern: string): PreTokenizer => ({ pattern, splitsDigits: false, ignoresMerges: false });

/** Those that are known to give llama.cpp's ids, by `tokenizer.ggml.pre`. */
export const preTokenizers: ReadonlyMap<string, PreTokenizer> = new Map([
  ["gpt-2", plain(gpt2)],
  ["phi-2", plain(gpt2)],
  ["jina-es", plain(gpt2)],
  ["jina-de", plain(gpt2)],
  ["mpt", plain(gpt2)],
  ["olmo", plain(gpt2)],
  ["llama-bpe", { ...plain(llama3), ignoresMerges: true }],
  ["llama3", { ...plain(llama3), ignoresMerges: true }],
  ["llama-v3", { ...plain(llama3), ignoresMerges: true }],
  ["dbrx", plain(llama3)],
  ["smaug-bpe", plain(llama3)],
  ["qwen2", plain(qwen2)],
  ["deepseek-r1-qwen", plain(qwen2)],
  ["stablelm2", plain(qwen2)],
  ["starcoder", { ...plain(gpt2), splitsDigits: true }],
  ["refact", { ...plain(gpt2), splitsDigits: true }],
  ["command-r", { ...plain(gpt2), splitsDigits: true }],
  ["smollm", { ...plain(gpt2), splitsDigits: true }],
  ["codeshell", { ...plain(gpt2), splitsDigits: true }],
  ["exaone", { ...plain(gpt2), splitsDigits: true }],
  ["tekken", { ...plain(tekken), ignoresMerges: true }],
]);
