import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { JetStreamApiError, jetstream, StorageType } from "@nats-io/jetstream";
import { Kvm, type KV, type KvEntry } from "@nats-io/kv";
import { RegistrationSchema, type Registration } from "@stator/contracts";
import type { Discovery, DiscoveryContext, DiscoveryStore } from "../discovery/discovery.ts";
import { discoveryFailed, fenced } from "../discovery/fenced.ts";
import { startSweeper } from "../discovery/memory-discovery.ts";
import { createRecordSet } from "../discovery/record-set.ts";
import { RuntimeError } from "../runtime-error.ts";
import { openNatsLink, type NatsLink, type NatsOptions } from "./nats-link.ts";

export interface NatsDiscoveryOptions extends NatsOptions {
  /** Before the bucket's and the subjects' names. Default "stator". */
  readonly prefix?: string;
  /** Servers that hold the bucket. Default 1. */
  readonly replicas?: number;
}

/** JetStream's code for "another one wrote meanwhile". */
const wrongLastSequence = 10071;
/** Tries to write against others that write at the same moment. */
const maxTries = 16;
/** Every so many looks all records are read again, in case a change was not heard. */
const fullLookEvery = 5;
/** Reads under way at once. */
const readsAtOnce = 32;

/**
 * Who exists, in a NATS key-value bucket (server 2.7 or newer with JetStream): a key per record, rewritten with each
 * heartbeat. The lease is the bucket's age limit; a key's own is silently ignored by servers before 2.11. The bucket is
 * held in memory: a server that restarts is filled again by the next heartbeats.
 *
 * While the server is gone, nothing is told and calls go on. No wait on it is longer than `natsStaleMs` and `connectMs`.
 */
export function natsDiscovery(options: NatsDiscoveryOptions = {}): Discovery {
  return {
    name: `nats ${[options.servers ?? "nats://127.0.0.1:4222"].flat().join(",")}`,
    isLocal: false,
    async open(context) {
      const link = openNatsLink(options, context);
      await link.get().catch(() => {});
      return openNatsStore(link, options, context);
    },
  };
}

function openNatsStore(
  link: NatsLink,
  options: NatsDiscoveryOptions,
  context: DiscoveryContext,
): DiscoveryStore {
  const { clock, deadlines, logger, namespace } = context;
  const { prefix = "stator", replicas = 1 } = options;
  const bucket = `${prefix}_${namespace}_registrations`;
  const changes = `${prefix}.${namespace}.registration-changes`;
  const timeout = deadlines.natsStaleMs;
  const records = createRecordSet();
  const unread = new Set<string>();
  let opening: Promise<KV> | undefined;
  let looking: Promise<void> | undefined;
  let isAnotherLookDue = false;
  let looks = 0;
  let isWatched = false;
  let isClosed = false;
  let isLost = false;

  // A bucket's keys allow few characters; hex also keeps upper and lower case apart.
  const keyOf = (id: string): string => Buffer.from(id).toString("hex");
  const idOf = (key: string): string => Buffer.from(key, "hex").toString();

  const open = (): Promise<KV> => {
    opening ??= link.get().then((connection) =>
      new Kvm(jetstream(connection, { timeout })).create(bucket, {
        ttl: deadlines.registrationTtlMs,
        history: 1,
        replicas,
        storage: StorageType.Memory,
        timeout,
      }),
    );
    return opening;
  };

  /** A server that came back without the bucket gets it anew. */
  const withBucket = async <Value>(work: (kv: KV) => Promise<Value>): Promise<Value> => {
    try {
      return await work(await open());
    } catch (error) {
      if (!isFenced(error) && !isConflict(error)) opening = undefined;
      throw error;
    }
  };

  const parse = (entry: KvEntry | null): Registration | undefined => {
    if (entry === null || entry.operation !== "PUT") return undefined;
    try {
      return fromJsonString(RegistrationSchema, entry.string(), { ignoreUnknownFields: true });
    } catch (error) {
      logger.warn("a registration in NATS is not readable", { error: String(error) });
      return undefined;
    }
  };

  const look = async (kv: KV): Promise<void> => {
    const connection = await link.get();
    const jsm = await jetstream(connection, { timeout }).jetstreamManager(false);
    // Before the listing: what changes from here on is read again next time.
    const changed = new Set(unread);
    unread.clear();
    const info = await jsm.streams.info(`KV_${bucket}`, { subjects_filter: `$KV.${bucket}.>` });
    const all = Object.keys(info.state.subjects ?? {}).map((subject) =>
      idOf(subject.slice(`$KV.${bucket}.`.length)),
    );
    const isFull = looks++ % fullLookEvery === 0;
    const present = new Set(all);
    const toRead = all.filter((id) => isFull || changed.has(id) || records.get(id) === undefined);
    for (let from = 0; from < toRead.length; from += readsAtOnce) {
      const ids = toRead.slice(from, from + readsAtOnce);
      const read = await Promise.all(ids.map(async (id) => [id, parse(await kv.get(keyOf(id)))] as const));
      for (const [id, record] of read) {
        if (record === undefined) present.delete(id);
        else if (!isClosed) records.see(record);
      }
    }
    if (isClosed) return;
    for (const id of records.ids) if (!present.has(id)) records.lose(id);
  };

  const lookSoon = (): void => {
    if (!isWatched || isClosed) return;
    if (looking !== undefined) {
      isAnotherLookDue = true;
      return;
    }
    looking = withBucket(look)
      .then(
        () => {
          isLost = false;
          context.onAnswer?.(true);
        },
        (error: unknown) => {
          looks = 0;
          if (!isLost && !isClosed) {
            logger.warn("discovery is lost: the last known set stays", {
              store: link.name,
              error: String(error),
            });
          }
          isLost = true;
          if (!isClosed) context.onAnswer?.(false);
        },
      )
      .finally(() => {
        looking = undefined;
        if (!isAnotherLookDue) return;
        isAnotherLookDue = false;
        lookSoon();
      });
  };

  link.onOpen((connection) => {
    connection.subscribe(changes, {
      callback(_error, message) {
        unread.add(message.string());
        lookSoon();
      },
    });
    lookSoon();
  });
  const sweeper = startSweeper(clock, deadlines.registrationHeartbeatMs, lookSoon);

  const tell = async (id: string): Promise<void> => {
    (await link.get()).publish(changes, id);
  };

  const write = async (kv: KV, record: Registration, claim: boolean): Promise<void> => {
    const key = keyOf(record.id);
    const text = toJsonString(RegistrationSchema, record);
    for (let tries = 0; tries < maxTries; tries++) {
      const entry = await kv.get(key);
      const owner = parse(entry);
      if (!claim && owner !== undefined && owner.epoch !== record.epoch)
        throw fenced(record.id, record.epoch, owner.epoch);
      try {
        if (entry === null) await kv.create(key, text);
        else await kv.update(key, text, entry.revision);
      } catch (error) {
        if (isConflict(error)) continue;
        throw error;
      }
      if (owner === undefined || toJsonString(RegistrationSchema, owner) !== text) await tell(record.id);
      return;
    }
    throw new Error(`others kept writing ${record.id}`);
  };

  return {
    put: (record, { claim }) =>
      withBucket((kv) => write(kv, record, claim)).catch((error: unknown) => {
        throw RuntimeError.isInstance(error)
          ? error
          : discoveryFailed(link.name, `writing ${record.id}`, error);
      }),
    remove: (id, epoch) =>
      withBucket(async (kv) => {
        const entry = await kv.get(keyOf(id));
        if (entry === null || parse(entry)?.epoch !== epoch) return;
        await kv.delete(keyOf(id), { previousSeq: entry.revision });
        await tell(id);
      }).catch((error: unknown) => {
        if (!isConflict(error)) throw discoveryFailed(link.name, `removing ${id}`, error);
      }),
    watch(listener) {
      isWatched = true;
      lookSoon();
      return records.watch(listener);
    },
    async close() {
      isClosed = true;
      sweeper.stop();
      records.clear();
      await link.close();
      await looking;
    },
  };
}

function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === wrongLastSequence;
}

function isFenced(error: unknown): boolean {
  return RuntimeError.isInstance(error) && error.code === "RUNTIME_EPOCH_FENCED";
}
