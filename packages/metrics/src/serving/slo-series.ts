import type { Counter } from "@stator/core";

/** One objective of one model. */
export class SloSeries {
  readonly thresholdSeconds: number;
  readonly #good: Counter;
  readonly #events: Counter;

  constructor(good: Counter, events: Counter, thresholdSeconds: number) {
    this.#good = good;
    this.#events = events;
    this.thresholdSeconds = thresholdSeconds;
  }

  record(isGood: boolean, times: number): void {
    this.#events.add(times);
    if (isGood) this.#good.add(times);
  }
}
