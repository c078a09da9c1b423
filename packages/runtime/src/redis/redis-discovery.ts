import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { RegistrationSchema, type Registration } from "@stator/contracts";
import { Redis } from "ioredis";
import type { Discovery, DiscoveryContext, DiscoveryStore } from "../discovery/discovery.ts";
import { discoveryFailed, fenced } from "../discovery/fenced.ts";
import { startSweeper } from "../discovery/memory-discovery.ts";
import { createRecordSet } from "../discovery/record-set.ts";
import { RuntimeError } from "../runtime-error.ts";

export interface RedisDiscoveryOptions {
  /** `redis://host:6379/0`, or `rediss://` for TLS. Default `redis://127.0.0.1:6379`. */
  readonly url?: string;
  /** A client whose address, credentials and TLS are to be used instead; it is duplicated and stays its owner's. */
  readonly client?: Redis;
  /** Before every key and channel. Default "stator". */
  readonly prefix?: string;
}

/** Tries to write against others that write at the same moment. */
const maxTries = 16;
/** Keys in one step of a scan, and in one read. */
const scanCount = 512;

/**
 * Who exists, in Redis 6 or newer: a key per record with the lease as its expiry, on the server's clock. Changes are
 * published; expiries are found by looking every heartbeat. Needs SET, GET, MGET, PEXPIRE, DEL, WATCH, MULTI, SCAN,
 * PUBLISH and SUBSCRIBE on one prefix; no scripts, no server settings.
 *
 * While the server is gone, nothing is told and calls go on. No wait on it is longer than the deadline table's
 * `redisCommandMs`, `redisSocketMs` and `connectMs`.
 */
export function redisDiscovery(options: RedisDiscoveryOptions = {}): Discovery {
  const { url = "redis://127.0.0.1:6379", client, prefix = "stator" } = options;
  const name = client === undefined ? `redis ${withoutSecrets(url)}` : "redis";
  return {
    name,
    isLocal: false,
    async open(context) {
      const safe = deadlineSafe(context);
      const connect = (): Redis => (client === undefined ? new Redis(url, safe) : client.duplicate(safe));
      const store = openRedisStore(connect(), connect(), `${prefix}:{${context.namespace}}`, name, context);
      await store.ready;
      return store;
    },
  };
}

/** ioredis parks commands while it is not connected, and waits for ever on a half-open socket, unless told otherwise. */
function deadlineSafe({ deadlines }: DiscoveryContext) {
  return {
    // Keys are written whole here; a prefix of the client's would not apply to scans.
    keyPrefix: "",
    lazyConnect: true,
    connectTimeout: deadlines.connectMs,
    commandTimeout: deadlines.redisCommandMs,
    socketTimeout: deadlines.redisSocketMs,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    // Both are done on `ready` here: ioredis does not handle it when its own repetition times out, which ends the process.
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    keepAlive: 1_000,
    retryStrategy: (times: number) => Math.random() * Math.min(1_000, 25 * 2 ** Math.min(times, 10)),
  };
}

function openRedisStore(
  commands: Redis,
  subscription: Redis,
  root: string,
  name: string,
  context: DiscoveryContext,
): DiscoveryStore & { readonly ready: Promise<void> } {
  const { clock, deadlines, logger } = context;
  const records = createRecordSet();
  const channel = `${root}:changes`;
  const keyOf = (id: string): string => `${root}:registration:${id}`;
  let isWatched = false;
  let isClosed = false;
  let isLost = false;
  // WATCH belongs to the connection: one write at a time.
  let writing: Promise<unknown> = Promise.resolve();
  let looking: Promise<void> | undefined;
  let isAnotherLookDue = false;

  const inTurn = <Value>(work: () => Promise<Value>): Promise<Value> => {
    const mine = writing.then(work, work);
    writing = mine.catch(() => {});
    return mine;
  };

  const parse = (text: string | null | undefined): Registration | undefined => {
    if (text === null || text === undefined) return undefined;
    try {
      return fromJsonString(RegistrationSchema, text, { ignoreUnknownFields: true });
    } catch (error) {
      logger.warn("a registration in Redis is not readable", { error: String(error) });
      return undefined;
    }
  };

  const look = async (): Promise<void> => {
    const present = new Map<string, Registration>();
    let cursor = "0";
    do {
      const [next, keys] = await commands.scan(cursor, "MATCH", `${root}:registration:*`, "COUNT", scanCount);
      cursor = next;
      if (keys.length === 0) continue;
      for (const text of await commands.mget(keys)) {
        const record = parse(text);
        if (record !== undefined) present.set(record.id, record);
      }
    } while (cursor !== "0");
    if (isClosed) return;
    for (const record of present.values()) records.see(record);
    for (const id of records.ids) if (!present.has(id)) records.lose(id);
  };

  const lookSoon = (): void => {
    if (!isWatched || isClosed) return;
    if (looking !== undefined) {
      isAnotherLookDue = true;
      return;
    }
    looking = look()
      .then(
        () => {
          isLost = false;
          context.onAnswer?.(true);
        },
        (error: unknown) => {
          if (!isLost && !isClosed)
            logger.warn("discovery is lost: the last known set stays", { store: name, error: String(error) });
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

  // Without a listener ioredis prints every failed connection.
  const onError = (error: Error): void =>
    logger.debug("redis connection", { store: name, error: error.message });
  for (const connection of [commands, subscription]) connection.on("error", onError);
  subscription.on("message", lookSoon);
  subscription.on("ready", () => {
    subscription.subscribe(channel).catch((error: Error) => {
      onError(error);
      if (!isClosed) subscription.disconnect(true);
    });
  });
  commands.on("ready", lookSoon);
  const ready = Promise.allSettled([commands.connect(), subscription.connect()]).then((results) => {
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined)
      logger.warn("discovery is not reachable yet", { store: name, error: String(failed.reason) });
  });
  const sweeper = startSweeper(clock, deadlines.registrationHeartbeatMs, () => {
    lookSoon();
    // Finds a half-open subscription: an unanswered command ends its socket.
    if (subscription.status === "ready") subscription.ping().catch(onError);
  });

  const write = async (record: Registration, claim: boolean): Promise<void> => {
    const key = keyOf(record.id);
    const text = toJsonString(RegistrationSchema, record);
    if (
      !claim &&
      (await commands.get(key)) === text &&
      (await commands.pexpire(key, deadlines.registrationTtlMs)) === 1
    ) {
      return;
    }
    for (let tries = 0; tries < maxTries; tries++) {
      await commands.watch(key);
      const owner = parse(await commands.get(key));
      if (!claim && owner !== undefined && owner.epoch !== record.epoch) {
        await commands.unwatch();
        throw fenced(record.id, record.epoch, owner.epoch);
      }
      const done = await commands
        .multi()
        .set(key, text, "PX", deadlines.registrationTtlMs)
        .publish(channel, record.id)
        .exec();
      if (done !== null) return;
    }
    throw new Error(`others kept writing ${key}`);
  };

  const erase = async (id: string, epoch: string): Promise<void> => {
    const key = keyOf(id);
    await commands.watch(key);
    if (parse(await commands.get(key))?.epoch !== epoch) {
      await commands.unwatch();
      return;
    }
    await commands.multi().del(key).publish(channel, id).exec();
  };

  return {
    ready,
    put: (record, { claim }) =>
      inTurn(() => write(record, claim)).catch((error: unknown) => {
        throw RuntimeError.isInstance(error) ? error : discoveryFailed(name, `writing ${record.id}`, error);
      }),
    remove: (id, epoch) =>
      inTurn(() => erase(id, epoch)).catch((error: unknown) => {
        throw discoveryFailed(name, `removing ${id}`, error);
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
      await writing;
      commands.disconnect();
      subscription.disconnect();
      await looking;
    },
  };
}

function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//");
}
