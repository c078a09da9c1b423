/** Deterministic prompt texts of about one token a word, with a shared beginning, so that prefix caches have work. */
export interface PromptOptions {
  readonly inputWords: number;
  /** Words that all prompts of one group begin with. */
  readonly sharedWords: number;
  /** How many different shared beginnings. */
  readonly groups: number;
  readonly seed: number;
}

const words =
  "time year people way day man thing woman life child world school state family student group country problem hand part place case week company system program question work government number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house service friend father power hour game line end member law car city".split(
    " ",
  );

/** The same seed gives the same prompts. */
export function createPrompts(options: PromptOptions): (index: number) => string {
  return (index) => {
    const shared = sequence(
      options.seed + 1 + (index % options.groups),
      Math.min(options.sharedWords, options.inputWords),
    );
    const own = sequence(
      options.seed + 1_000_003 * (index + 1),
      Math.max(0, options.inputWords - options.sharedWords),
    );
    return [...shared, ...own].join(" ");
  };
}

/** Numerical Recipes' linear congruential generator: enough to vary words. */
function sequence(seed: number, count: number): string[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return words[(state >>> 8) % words.length]!;
  });
}
