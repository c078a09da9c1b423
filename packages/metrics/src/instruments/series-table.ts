import type { Labels } from "@stator/core";
import type { SeriesBudget } from "./series-budget.ts";

/** The label value of what the cardinality guard folded together. */
export const otherValue: string = "other";

/** Longest label value kept; longer ones are cut, so that no text travels as a label. */
const longestLabelValue: number = 120;

/** Control characters and line separators: a label never breaks a line of the exposition or of a log. */
const unprintable = /[\p{Cc}\u2028\u2029]/gu;

type Node<Series> = Map<string, Node<Series> | Series>;

export interface SeriesTableOptions<Series> {
  readonly labelNames: readonly string[];
  /** Label sets of this metric before further ones become `other`. */
  readonly maxLabelSets: number;
  /** Exposed series that one label set costs. */
  readonly seriesPerSet: number;
  readonly budget: SeriesBudget;
  create(values: readonly string[]): Series;
  discard(series: Series): void;
  onFold(): void;
}

/**
 * Label sets of one metric, found by one map lookup per label. When a metric or the process has too many, new label
 * sets share one series whose labels all say `other`.
 */
export class SeriesTable<Series extends object> {
  readonly #options: SeriesTableOptions<Series>;
  readonly #root: Node<Series> = new Map();
  readonly #labelNames: readonly string[];
  #single: Series | undefined;
  #other: Series | undefined;
  #size = 0;

  constructor(options: SeriesTableOptions<Series>) {
    this.#options = options;
    this.#labelNames = options.labelNames;
  }

  get(labels: Labels): Series {
    const names = this.#labelNames;
    const depth = names.length;
    if (depth === 0) return this.#unlabelled();
    let node: Node<Series> = this.#root;
    for (let i = 0; i < depth; i++) {
      const next = node.get(labels[names[i] as string] as string);
      if (next === undefined) return this.#add(labels);
      if (i === depth - 1) return next as Series;
      node = next as Node<Series>;
    }
    return this.#add(labels);
  }

  remove(labels: Labels): void {
    const path = this.#path(labels);
    const series = this.#labelNames.length === 0 ? undefined : this.#find(path);
    if (series === undefined) return;
    const parent = this.#find(path.slice(0, -1)) as unknown as Node<Series>;
    parent.delete(path.at(-1) as string);
    this.#size -= 1;
    this.#options.budget.give(this.#options.seriesPerSet);
    this.#options.discard(series);
  }

  #unlabelled(): Series {
    if (this.#single === undefined) {
      this.#single = this.#options.create([]);
      this.#options.budget.take(this.#options.seriesPerSet);
    }
    return this.#single;
  }

  #add(labels: Labels): Series {
    const path = this.#path(labels);
    const found = this.#find(path);
    if (found !== undefined) return found;
    if (this.#size >= this.#options.maxLabelSets || !this.#options.budget.take(this.#options.seriesPerSet))
      return this.#fold();
    this.#size += 1;
    const series = this.#options.create(path);
    let node: Node<Series> = this.#root;
    for (const value of path.slice(0, -1)) {
      let next = node.get(value) as Node<Series> | undefined;
      if (next === undefined) {
        next = new Map();
        node.set(value, next);
      }
      node = next;
    }
    node.set(path.at(-1) as string, series);
    return series;
  }

  #find(path: readonly string[]): Series | undefined {
    let node: Node<Series> | Series | undefined = this.#root;
    for (const value of path) node = (node as Node<Series> | undefined)?.get(value);
    return node as Series | undefined;
  }

  #fold(): Series {
    this.#options.onFold();
    this.#other ??= this.#options.create(this.#labelNames.map(() => otherValue));
    return this.#other;
  }

  #path(labels: Labels): string[] {
    return this.#labelNames.map((name) => {
      const value = labels[name] as unknown;
      const text = value === undefined || value === null ? "" : String(value).replace(unprintable, " ");
      return text.length > longestLabelValue ? `${text.slice(0, longestLabelValue - 1)}…` : text;
    });
  }
}
