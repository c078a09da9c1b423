// Parameters with parents: a term of an engine on a generation is pulled to the engine's, that to all engines', that to a physical prior.

/** One fitted number, in logarithms: a deviation from its parents with the spread it may have. */
interface Level {
  readonly name: string;
  readonly start: number;
  readonly spread: number;
}

/** A term that predictions read: the exponential of the sum of its levels. */
interface Term {
  readonly index: number;
  readonly levels: readonly number[];
}

export interface Hierarchy {
  readonly levels: readonly Level[];
  readonly terms: ReadonlyMap<string, Term>;
  /** Index of a term; throws for one that was never added. */
  readonly indexOf: (term: string) => number;
}

export function createHierarchy(): {
  readonly add: (
    term: string,
    path: readonly (readonly [name: string, spread: number, value?: number])[],
  ) => void;
  readonly done: () => Hierarchy;
} {
  const levels: Level[] = [];
  const at = new Map<string, number>();
  const terms = new Map<string, Term>();
  return {
    add: (term, path) => {
      if (terms.has(term)) return;
      const own = path.map(([name, spread, value]) => {
        let index = at.get(name);
        if (index === undefined) {
          index = levels.push({ name, start: value === undefined ? 0 : Math.log(value), spread }) - 1;
          at.set(name, index);
        }
        return index;
      });
      terms.set(term, { index: terms.size, levels: own });
    },
    done: () => ({
      levels,
      terms,
      indexOf: (name) => {
        const term = terms.get(name);
        if (term === undefined) throw new Error(`No term "${name}"`);
        return term.index;
      },
    }),
  };
}

/** Values of all terms, by index, for given levels. */
export function termValues({ terms }: Hierarchy, logs: Float64Array): Float64Array {
  const values = new Float64Array(terms.size);
  for (const { index, levels } of terms.values())
    values[index] = Math.exp(levels.reduce((sum, level) => sum + logs[level]!, 0));
  return values;
}
