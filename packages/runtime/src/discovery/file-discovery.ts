import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { RegistrationSchema, type Registration } from "@stator/contracts";
import type { Discovery, DiscoveryContext, DiscoveryStore } from "./discovery.ts";
import { discoveryFailed, fenced } from "./fenced.ts";
import { startSweeper } from "./memory-discovery.ts";
import { createRecordSet } from "./record-set.ts";

export interface FileDiscoveryOptions {
  /** Folder for the records of all namespaces. Default `<tmp>/stator-<uid>`; made with mode 0700. */
  readonly dir?: string;
}

/** How often the folder is read, in milliseconds. */
const pollMs = 200;
/** Files of processes that died are swept once they were untouched for this long, in milliseconds. */
const sweepAfterMs = 600_000;

interface Sighting {
  /** Time of change and size of the file: a renewal changes it. */
  mark: string;
  seenMs: number;
}

/**
 * Who exists, on one machine: a file per record, replaced atomically, touched as its lease is renewed. A record whose
 * file stays untouched for the lease's length is gone; that is judged on the reader's own monotonic clock.
 */
export function fileDiscovery(options: FileDiscoveryOptions = {}): Discovery {
  const root = options.dir ?? join(tmpdir(), `stator-${process.getuid?.() ?? -1}`);
  return {
    name: `file ${root}`,
    isLocal: false,
    open: (context) => openFileStore(join(root, encodeURIComponent(context.namespace)), context),
  };
}

async function openFileStore(dir: string, context: DiscoveryContext): Promise<DiscoveryStore> {
  const { clock, deadlines, logger } = context;
  const records = createRecordSet();
  const sightings = new Map<string, Sighting>();
  const path = (id: string): string => join(dir, `${encodeURIComponent(id)}.json`);
  let reading: Promise<void> | undefined;
  let isWatched = false;
  let isClosed = false;
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw discoveryFailed(dir, "creating its folder", error);
  });

  await sweepFolder(dir);

  const read = async (id: string): Promise<Registration | undefined> => {
    try {
      return fromJsonString(RegistrationSchema, await readFile(path(id), "utf8"), {
        ignoreUnknownFields: true,
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  };

  const look = async (): Promise<void> => {
    const nowMs = clock.now();
    const present = new Set<string>();
    for (const name of await readdir(dir)) {
      if (!name.endsWith(".json")) continue;
      const id = decodeURIComponent(name.slice(0, -".json".length));
      const status = await stat(join(dir, name), { bigint: true }).catch(() => undefined);
      if (status === undefined) continue;
      const mark = `${status.mtimeNs}/${status.ino}/${status.size}`;
      const sighting = sightings.get(id);
      if (sighting?.mark === mark) {
        if (nowMs - sighting.seenMs <= deadlines.registrationTtlMs) present.add(id);
        continue;
      }
      const isNewFile = sighting?.mark.split("/")[1] !== String(status.ino) || records.get(id) === undefined;
      const record = isNewFile ? await read(id).catch(() => undefined) : records.get(id);
      if (record === undefined) continue;
      sightings.set(id, { mark, seenMs: nowMs });
      present.add(id);
      if (!isClosed) records.see(record);
    }
    if (isClosed) return;
    for (const id of records.ids) if (!present.has(id)) records.lose(id);
    for (const id of [...sightings.keys()])
      if (!present.has(id) && records.get(id) === undefined && !(await exists(path(id))))
        sightings.delete(id);
  };

  const poll = (): void => {
    if (reading !== undefined || !isWatched || isClosed) return;
    reading = look()
      .then(() => context.onAnswer?.(true))
      // The last known set stays.
      .catch((error: unknown) => {
        context.onAnswer?.(false);
        logger.warn("discovery folder is not readable", { dir, error: String(error) });
      })
      .finally(() => (reading = undefined));
  };
  const sweeper = startSweeper(clock, pollMs, poll);

  return {
    async put(record, { claim }) {
      try {
        const owner = await read(record.id).catch(() => undefined);
        if (!claim && owner !== undefined && owner.epoch !== record.epoch) {
          throw fenced(record.id, record.epoch, owner.epoch);
        }
        const text = toJsonString(RegistrationSchema, record);
        if (owner !== undefined && toJsonString(RegistrationSchema, owner) === text) {
          const now = new Date();
          await utimes(path(record.id), now, now);
        } else {
          const temporary = join(dir, `${encodeURIComponent(record.id)}.${process.pid}.${randomUUID()}.tmp`);
          await mkdir(dir, { recursive: true, mode: 0o700 });
          try {
            await writeFile(temporary, text, { mode: 0o600 });
            await rename(temporary, path(record.id));
          } catch (error) {
            // A full disk must not be filled further, one heartbeat after the other.
            await rm(temporary, { force: true }).catch(() => {});
            throw error;
          }
        }
      } catch (error) {
        throw isFenced(error) ? error : discoveryFailed(dir, `writing ${record.id}`, error);
      }
      poll();
    },
    async remove(id, epoch) {
      try {
        const owner = await read(id);
        if (owner?.epoch === epoch) await rm(path(id), { force: true });
      } catch (error) {
        throw discoveryFailed(dir, `removing ${id}`, error);
      }
      poll();
    },
    watch(listener) {
      isWatched = true;
      poll();
      return records.watch(listener);
    },
    async close() {
      isClosed = true;
      sweeper.stop();
      await reading;
      records.clear();
    },
  };
}

async function sweepFolder(dir: string): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    const status = await stat(join(dir, name)).catch(() => undefined);
    if (status === undefined || Date.now() - status.mtimeMs < sweepAfterMs) continue;
    await rm(join(dir, name), { force: true }).catch(() => {});
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function isFenced(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === "RUNTIME_EPOCH_FENCED";
}
