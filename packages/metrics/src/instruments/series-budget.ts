/** How many series a process may expose, shared by its families. */
export interface SeriesBudget {
  /** Takes `count` series; false when that would pass the limit. */
  take(count: number): boolean;
  give(count: number): void;
  readonly used: number;
}

export function createSeriesBudget(limit: number): SeriesBudget {
  let used = 0;
  return {
    take(count) {
      if (used + count > limit) return false;
      used += count;
      return true;
    },
    give(count) {
      used -= count;
    },
    get used() {
      return used;
    },
  };
}
