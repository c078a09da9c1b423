import { sleep, type Clock } from "@stator/core";
import { WatchRefused, type KubernetesClient } from "./kubernetes-client.ts";

/** What every object of the API has. */
export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly deletionTimestamp?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
}

/** A local copy of the objects below one path, kept up by a watch. */
export interface WatchedObjects<T extends KubernetesObject> {
  /**
   * Waits for the first list, then answers from the copy.
   *
   * @throws what the last list or watch failed with, while the copy cannot be kept up
   */
  all(signal: AbortSignal): Promise<readonly T[]>;
  close(): Promise<void>;
}

export interface WatchedObjectsOptions {
  readonly client: KubernetesClient;
  /** Of the collection. */
  readonly path: string;
  /** `fieldSelector` or `labelSelector`. */
  readonly query: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** The server ends a watch after this; then it goes on from the last version. Default 300. */
  readonly watchSeconds?: number;
}

const firstWaitMs = 100;
const longestWaitMs = 10_000;
/** A watch that ends by itself in less than this was refused in all but name. */
const shortWatchMs = 1000;

/**
 * List, then watch from the list's `resourceVersion`; bookmarks move the version on while nothing happens. When the server
 * no longer knows a version (410 Gone, as status or as an ERROR event) everything is listed again. Other troubles are
 * waited out, longer each time, as long as `Retry-After` says at least.
 */
export function watchObjects<T extends KubernetesObject>(options: WatchedObjectsOptions): WatchedObjects<T> {
  const { client, path, clock, watchSeconds = 300 } = options;
  const stop = new AbortController();
  const objects = new Map<string, T>();
  const waiting = new Set<() => void>();
  let hasListed = false;
  let failure: unknown;

  const at = (query: Readonly<Record<string, string>>): string =>
    `${path}?${new URLSearchParams({ ...options.query, ...query }).toString()}`;
  const settle = (error?: unknown): void => {
    failure = error;
    for (const wake of waiting) wake();
    waiting.clear();
  };

  const list = async (): Promise<string> => {
    const { status, body } = await client.call("GET", at({}), undefined, stop.signal);
    if (status !== 200) throw new WatchRefused(status, undefined);
    const { items, metadata } = body as { items: readonly T[]; metadata: { resourceVersion: string } };
    objects.clear();
    for (const item of items) objects.set(item.metadata.name, item);
    hasListed = true;
    settle();
    return metadata.resourceVersion;
  };

  /** Returns the version to go on from; undefined when it must be listed again. */
  const follow = async (from: string): Promise<string | undefined> => {
    let version = from;
    const query = {
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: version,
      timeoutSeconds: String(watchSeconds),
    };
    try {
      const events = await client.watch(at(query), (watchSeconds + 30) * 1000, stop.signal);
      settle();
      for await (const { type, object } of events) {
        if (type === "ERROR") {
          const { code } = object as { code?: number };
          if (code === 410) return undefined;
          throw new WatchRefused(code ?? 500, undefined);
        }
        const seen = object as T;
        version = seen.metadata.resourceVersion;
        if (type === "DELETED") objects.delete(seen.metadata.name);
        else if (type !== "BOOKMARK") objects.set(seen.metadata.name, seen);
      }
    } catch (error) {
      if (error instanceof WatchRefused && error.status === 410) return undefined;
      // A connection that broke in the middle goes on from what was seen.
      if (version === from) throw error;
    }
    return version;
  };

  const live = async (): Promise<void> => {
    let version: string | undefined;
    let waitMs = firstWaitMs;
    while (!stop.signal.aborted) {
      const beganMs = clock.now();
      try {
        version ??= await list();
        version = await follow(version);
        if (clock.now() - beganMs >= shortWatchMs || version === undefined) {
          waitMs = firstWaitMs;
          if (version !== undefined) continue;
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        settle(error);
        if (error instanceof WatchRefused && error.retryAfterMs !== undefined)
          waitMs = Math.max(waitMs, Math.min(longestWaitMs, error.retryAfterMs));
      }
      await sleep(clock, waitMs, stop.signal);
      waitMs = Math.min(longestWaitMs, waitMs * 2);
    }
  };
  const running = live().catch(() => undefined);

  return {
    async all(signal) {
      if (!hasListed && failure === undefined)
        await new Promise<void>((resolve, reject) => {
          const done = (): void => {
            signal.removeEventListener("abort", gone);
            resolve();
          };
          const gone = (): void => {
            waiting.delete(done);
            reject(signal.reason as Error);
          };
          if (signal.aborted) return gone();
          waiting.add(done);
          signal.addEventListener("abort", gone, { once: true });
        });
      if (failure !== undefined) throw failure;
      return [...objects.values()];
    },
    async close() {
      stop.abort(new Error("closed"));
      settle(new Error("the scaler was closed"));
      await running;
    },
  };
}
