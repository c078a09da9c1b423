import type { IncomingMessage, ServerResponse } from "node:http";
import { type Clock, type RequestObserver, systemClock, type WorkerSource } from "@stator/core";
import { ConsoleError } from "./console-error.ts";
import { createFeed } from "./feed/feed.ts";
import type { PlanView, ProbeView } from "./feed/views.ts";
import { consoleHandler } from "./http/console-handler.ts";
import { loadApp } from "./http/static-app.ts";

export interface ConsoleOptions {
  /** Workers to show: `runtime.workers()`. Default none. */
  readonly workers?: WorkerSource | readonly WorkerSource[];
  /** Shown in the page's head. Default `Stator`. */
  readonly title?: string;
  /** Where the page is mounted. Default `/console`. */
  readonly path?: string;
  /** Requests that the page remembers, 10 to 5,000. Default 200. */
  readonly mostRequests?: number;
  /** Pages that may be open at once. Default 32. */
  readonly mostPages?: number;
  /** Between two messages of the feed, ms, at least 50. Default 400. */
  readonly intervalMs?: number;
  readonly clock?: Clock;
}

/** The page of a running graph. Mount it only where its readers may see workers, loads and request ids. */
export interface Console {
  /** Hears what happens to requests: one of the server's `observers`. */
  readonly observer: RequestObserver;
  /** `{ "/console": handler }`, for the server's `routes`; works in any node:http server. */
  readonly routes: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>>;
  /** Shows what a planner wants. */
  planned(plan: readonly PlanView[]): void;
  /** Shows what a probe of a worker's KV events came to: a pool's `onProbe`. Outcome `none` is not shown. */
  probed(
    target: { readonly worker: string; readonly epoch: string; readonly rank: number },
    probe: { readonly outcome: ProbeView["outcome"] | "none"; readonly detail?: string },
  ): void;
  /** Stops following workers. Open pages end with their server. */
  close(): void;
}

/**
 * The console of a process: what it serves at `/console`, and what it hears.
 *
 * @example
 * const page = createConsole({ workers: runtime.workers() });
 * const server = createOpenAIServer({ models, observers: [page.observer], routes: page.routes });
 *
 * @throws ConsoleError `CONSOLE_OPTION_INVALID`.
 */
export function createConsole(options: ConsoleOptions = {}): Console {
  const { title = "Stator", path = "/console", clock = systemClock } = options;
  if (!/^(\/[\w.-]+)+$/.test(path)) throw invalid("path", path, 'a path like "/console"');
  const mostRequests = inRange("mostRequests", options.mostRequests ?? 200, 10, 5_000);
  const mostPages = inRange("mostPages", options.mostPages ?? 32, 1, 10_000);
  const intervalMs = inRange("intervalMs", options.intervalMs ?? 400, 50, 60_000);
  const { workers = [] } = options;
  const app = loadApp();
  const feed = createFeed({
    title,
    workers: "current" in workers ? [workers] : workers,
    mostRequests,
    intervalMs,
    clock,
  });
  return {
    observer: feed.observe,
    routes: { [path]: consoleHandler({ feed, app, path, mostReaders: mostPages }) },
    planned: feed.planned,
    probed({ worker, epoch, rank }, { outcome, detail }) {
      if (outcome !== "none")
        feed.probed(worker, epoch, rank, { outcome, ...(detail === undefined ? {} : { detail }) });
    },
    close: feed.close,
  };
}

function inRange(name: string, value: number, least: number, most: number): number {
  if (!(value >= least && value <= most)) throw invalid(name, value, `a number from ${least} to ${most}`);
  return value;
}

function invalid(name: string, value: unknown, expected: string): ConsoleError {
  return new ConsoleError({
    code: "CONSOLE_OPTION_INVALID",
    kind: "invalid",
    message: `createConsole: ${name} is ${JSON.stringify(value)}; give ${expected}.`,
  });
}
