import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import {
  noopMeter,
  silentLogger,
  systemClock,
  type Clock,
  type KvEventBatch,
  type Logger,
  type Meter,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import type { Selector } from "../selector/selector.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot-codec.ts";

export interface IndexSnapshotsOptions {
  readonly selector: Selector;
  /** The file; its folder must exist. Nobody else may write it. */
  readonly path: string;
  /** Saves this often by itself, in ms. Default: only when asked. */
  readonly everyMs?: number;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: silent. */
  readonly logger?: Logger;
  /** Counts `index_snapshot_failures`. Default: nothing is measured. */
  readonly meter?: Meter;
}

/** An index on disk, so that a router that starts again is warm before any worker told it of its blocks. */
export interface IndexSnapshots {
  /** Snapshots that could not be written or read. */
  readonly failures: number;
  /** Writes all that the selector's index holds. False: it could not, and the earlier file is as it was. Never throws. */
  save(): Promise<boolean>;
  /**
   * Tells the selector what the file holds of the workers that it knows, in the lives that it knows. Resolves with how many
   * workers are warm by it; 0 without a file, or with a damaged one.
   */
  load(): Promise<number>;
  close(): void;
}

/**
 * Snapshots of a selector's index in a file: written beside it, synchronised, and renamed over it, so that there is a whole one
 * at every moment, on a full disk too.
 *
 * @throws RouterError `ROUTER_OPTION_INVALID` for an `everyMs` that is not above 0.
 * @example
 * const snapshots = createIndexSnapshots({ selector, path: "/var/lib/stator/index", everyMs: 60_000 });
 * await snapshots.load();
 */
export function createIndexSnapshots(options: IndexSnapshotsOptions): IndexSnapshots {
  const { selector, path, everyMs } = options;
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  if (everyMs !== undefined && !(everyMs > 0))
    throw routerError("ROUTER_OPTION_INVALID", `everyMs is ${everyMs}; give milliseconds above 0.`);
  const counter = (options.meter ?? noopMeter)
    .counter({
      name: "index_snapshot_failures",
      help: "Snapshots of the prefix index that could not be written or read.",
    })
    .labels({});
  let failures = 0;
  let isClosed = false;
  let saving: Promise<boolean> | undefined;

  const failed = (what: string, error: unknown): void => {
    failures += 1;
    counter.add();
    logger.error(`index snapshot not ${what}`, { path, error: String(error) });
  };

  const write = async (): Promise<boolean> => {
    const temporary = `${path}.tmp`;
    try {
      const workers = new Set(selector.loads().map(({ worker }) => worker));
      const batches = [...workers].flatMap((worker): KvEventBatch[] => {
        const batch = selector.dump(worker);
        return batch === undefined ? [] : [batch];
      });
      await writeDurably(temporary, encodeSnapshot(batches));
      await rename(temporary, path);
      await syncFolder(dirname(path));
      return true;
    } catch (error) {
      failed("written", error);
      // A full disk must not be filled further.
      await rm(temporary, { force: true }).catch(() => {});
      return false;
    }
  };
  const save = (): Promise<boolean> => (saving ??= write().finally(() => (saving = undefined)));

  const beat = (): void => {
    void save().then(() => {
      if (!isClosed) timer = clock.schedule(everyMs!, beat);
    });
  };
  let timer = everyMs === undefined ? undefined : clock.schedule(everyMs, beat);

  return {
    get failures() {
      return failures;
    },
    save,
    async load() {
      let bytes: Uint8Array;
      try {
        bytes = await readFile(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") failed("read", error);
        return 0;
      }
      const batches = decodeSnapshot(bytes);
      if (batches === undefined) failed("read", "it is damaged or no snapshot");
      return (batches ?? []).filter((batch) => selector.observe(batch) === "applied").length;
    },
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename durable, where folders can be synchronised. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  try {
    await folder?.sync().catch(() => {});
  } finally {
    await folder?.close();
  }
}
