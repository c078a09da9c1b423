/** A two-way table between the words of core and the numbers of a protobuf enum. */
export interface Names<Word extends string, Code extends number> {
  number(word: Word): Code;
  /** `fallback` for numbers that a newer peer may send. */
  word(number: number, fallback: Word): Word;
}

export function names<Word extends string, Code extends number>(
  table: Readonly<Record<Word, Code>>,
): Names<Word, Code> {
  const words = new Map<number, Word>();
  for (const [word, number] of Object.entries(table) as [Word, Code][]) words.set(number, word);
  return {
    number: (word) => table[word],
    word: (number, fallback) => words.get(number) ?? fallback,
  };
}

/** `{ [key]: value }` unless the value is undefined: for optional properties. */
export function given<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]?: Value });
}
