import type { Tokenizer } from "@huggingface/tokenizers";

/** Of the words that are kept; text beyond it (no white space, pasted base64) is merged each time. UTF-16 units. */
const longestWord = 32;
/** Words of one generation: two of them take some 4 MB. */
const mostWords = 8_192;

/** What is used of one of the library's steps that cut a text into words; its own types do not resolve. */
interface CuttingStep {
  readonly config?: {
    readonly type?: string;
    readonly use_regex?: boolean;
    readonly add_prefix_space?: boolean;
  };
  /** Of a sequence. */
  readonly tokenizers?: (CuttingStep | null)[];
  pre_tokenize(words: readonly string[]): readonly string[];
}

/** What is used of the library's model of merges. */
interface MergeModel {
  (words: readonly string[]): string[];
  readonly config: { readonly type?: string };
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly unk_token_id?: number;
  readonly fuse_unk: boolean;
  readonly byte_fallback?: boolean;
}

/**
 * Ids of texts by a byte-pair tokenizer that remembers the ids of its words: the library cuts a text into words, and what it
 * would do with each (bytes as characters, merges, three look-ups for every token) is done once. Undefined for tokenizers in
 * which the words of a text are not independent. The tokenizer is this function's from then on.
 */
export function rememberWords(tokenizer: Tokenizer): ((text: string) => Uint32Array) | undefined {
  const model = tokenizer.model as unknown as MergeModel | null;
  if (model?.config.type !== "BPE" || fusesAcrossWords(model)) return undefined;
  const byteLevel = withoutByteLevel(tokenizer);
  const idsOf = (word: string): readonly number[] =>
    model(byteLevel === undefined ? [word] : byteLevel.pre_tokenize([word])).map(
      (token) => model.tokens_to_ids.get(token) ?? model.unk_token_id ?? 0,
    );
  const words = createWordCache(idsOf);
  // The library passes on what its model says, and mixes it with added tokens, which stay text.
  (tokenizer as { model: unknown }).model = (found: readonly string[]): readonly number[] => {
    const ids: number[] = [];
    for (const word of found) for (const id of words.ids(word)) ids.push(id);
    return ids;
  };
  const added = new Map<string, number>();
  const normalizer = tokenizer.normalizer as unknown as { normalize(text: string): string } | null;
  for (const { content, id, normalized } of tokenizer.get_added_tokens_decoder().values()) {
    added.set(content, id);
    if (normalized && normalizer !== null) added.set(normalizer.normalize(content), id);
  }
  return (text) => {
    const tokens = tokenizer.tokenize(text) as readonly (string | number)[];
    const ids = new Uint32Array(tokens.length);
    for (let i = 0; i < ids.length; i++) {
      const token = tokens[i]!;
      ids[i] = typeof token === "number" ? token : added.get(token)!;
    }
    return ids;
  };
}

/** Unknown tokens beside each other become one, in whichever words they are; where all bytes are tokens, there are none. */
function fusesAcrossWords({ fuse_unk, byte_fallback, tokens_to_ids }: MergeModel): boolean {
  if (!fuse_unk) return false;
  if (byte_fallback !== true) return true;
  for (let byte = 0; byte < 256; byte++)
    if (!tokens_to_ids.has(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)) return true;
  return false;
}

/** Takes the last step, bytes as characters, from the tokenizer and returns it, where it does nothing but that. */
function withoutByteLevel(tokenizer: Tokenizer): CuttingStep | undefined {
  const steps = (tokenizer.pre_tokenizer as unknown as CuttingStep | null)?.tokenizers;
  const last = steps?.at(-1);
  if (last?.config?.type !== "ByteLevel") return undefined;
  if (last.config.use_regex !== false || last.config.add_prefix_space === true) return undefined;
  steps!.pop();
  return last;
}

/** Ids by word. Two generations: the older one is forgotten when the newer is full, and what is asked for moves up. */
function createWordCache(idsOf: (word: string) => readonly number[]): {
  ids(word: string): readonly number[];
} {
  let young = new Map<string, readonly number[]>();
  let old = new Map<string, readonly number[]>();
  return {
    ids(word) {
      const known = young.get(word);
      if (known !== undefined) return known;
      const before = old.get(word);
      const ids = before ?? idsOf(word);
      if (word.length > longestWord) return ids;
      if (young.size >= mostWords) {
        old = young;
        young = new Map();
      }
      young.set(copied(word), ids);
      return ids;
    },
  };
}

/** From 13 characters on V8 keeps a piece of a text as a window on all of it: a word that is kept would keep its prompt. */
function copied(word: string): string {
  return JSON.parse(JSON.stringify(word)) as string;
}
