import { linkAbort, type Clock } from "@stator/core";
import { parsePrometheusText, type Sample } from "./prometheus-text.ts";

/** Reads one address in Prometheus' text format. */
export async function fetchSamples(options: {
  readonly url: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly fetch: typeof globalThis.fetch;
}): Promise<readonly Sample[]> {
  const { url, timeoutMs, clock, fetch } = options;
  const { signal, abort, unlink } = linkAbort(options.signal);
  const timer = clock.schedule(timeoutMs, () => abort(new Error(`no answer within ${timeoutMs} ms`)));
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    return parsePrometheusText(await response.text());
  } finally {
    timer.cancel();
    unlink();
  }
}
