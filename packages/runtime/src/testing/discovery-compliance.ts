import { create } from "@bufbuild/protobuf";
import { RegistrationSchema, type Registration } from "@stator/contracts";
import { createDeadlines, silentLogger, sleep, systemClock } from "@stator/core";
import type { Discovery, DiscoveryChange, DiscoveryStore } from "../discovery/discovery.ts";
import { assert, type ComplianceCase } from "./compliance-case.ts";

/** A store under test. */
export interface DiscoveryFixture {
  /** A way to the store; a second one to the same store, as another process would have it. */
  readonly discoveries: readonly [Discovery, Discovery];
  close(): Promise<void>;
}

/** Longest wait for what must happen, in milliseconds. */
const patienceMs = 15_000;
const deadlines = createDeadlines({ registrationHeartbeatMs: 100, registrationTtlMs: 1_000 });

interface Seen {
  readonly changes: DiscoveryChange[];
  until(what: string, condition: (changes: readonly DiscoveryChange[]) => boolean): Promise<void>;
}

interface Bench {
  readonly writer: DiscoveryStore;
  readonly reader: DiscoveryStore;
  readonly seen: Seen;
  open(which: 0 | 1, namespace?: string): Promise<DiscoveryStore>;
}

/**
 * What every discovery store must do.
 *
 * @param fixture makes a fresh, empty store for each case.
 */
export function discoveryCompliance(fixture: () => Promise<DiscoveryFixture>): readonly ComplianceCase[] {
  const on =
    (run: (bench: Bench) => Promise<void>): (() => Promise<void>) =>
    async () => {
      const { discoveries, close } = await fixture();
      const opened: DiscoveryStore[] = [];
      const open = async (which: 0 | 1, namespace = "suite"): Promise<DiscoveryStore> => {
        const store = await discoveries[which].open({
          namespace,
          clock: systemClock,
          deadlines,
          logger: silentLogger,
        });
        opened.push(store);
        return store;
      };
      try {
        const writer = await open(0);
        const reader = await open(1);
        await run({ writer, reader, seen: watch(reader), open });
      } finally {
        await Promise.all(opened.map((store) => store.close()));
        await close();
      }
    };

  return [
    {
      name: "a watcher is told what exists, then every change, each once and in order",
      run: on(async ({ writer, seen }) => {
        await writer.put(recordOf("a", "1"), { claim: true });
        await seen.until("a", has("put", "a", "1"));
        await writer.put(recordOf("b", "1"), { claim: true });
        await seen.until("b", has("put", "b", "1"));
        await writer.put(recordOf("a", "1", { draining: true }), { claim: false });
        await seen.until("a again", (changes) => changes.length === 3);
        await writer.remove("b", "1");
        await seen.until("b gone", has("removed", "b", "1"));
        assert(
          story(seen.changes) === "put a 1, put b 1, put a 1, removed b 1",
          `The watcher was told: ${story(seen.changes)}.`,
        );
      }),
    },
    {
      name: "a watcher that comes late is told what exists",
      run: on(async ({ writer, seen, open }) => {
        await writer.put(recordOf("a", "1"), { claim: true });
        await seen.until("a", has("put", "a", "1"));
        const late = watch(await open(1));
        await late.until("a", has("put", "a", "1"));
      }),
    },
    {
      name: "a record arrives whole",
      run: on(async ({ writer, seen }) => {
        const record = recordOf("a", "1", {
          address: "http://[::1]:9",
          contract: { min: 1, max: 2 },
          subject: {
            case: "worker",
            value: { id: "a", epoch: "1", role: 2, model: "größe/7b", ranks: 2, labels: { 'x"y': "z\n" } },
          },
          pid: 7,
        });
        await writer.put(record, { claim: true });
        await seen.until("a", has("put", "a", "1"));
        const [change] = seen.changes;
        assert(
          change?.type === "put" && JSON.stringify(change.record) === JSON.stringify(record),
          `Another record arrived: ${JSON.stringify(change)}.`,
        );
      }),
    },
    {
      name: "renewals keep a record and are not told; without them it goes",
      run: on(async ({ writer, seen }) => {
        await writer.put(recordOf("kept", "1"), { claim: true });
        await writer.put(recordOf("left", "1"), { claim: true });
        await seen.until("both", (changes) => changes.length === 2);
        const renewing = renew(writer, recordOf("kept", "1"));
        await seen.until("left gone", has("removed", "left", "1"));
        await renewing.stop();
        assert(
          story(seen.changes.slice(2)) === "removed left 1",
          `The watcher was told: ${story(seen.changes)}.`,
        );
      }),
    },
    {
      name: "a record that ran out is back with its next renewal",
      run: on(async ({ writer, seen }) => {
        await writer.put(recordOf("a", "1"), { claim: true });
        await seen.until("a gone", has("removed", "a", "1"));
        await writer.put(recordOf("a", "1"), { claim: false });
        await seen.until("a back", (changes) => changes.filter(({ type }) => type === "put").length === 2);
      }),
    },
    {
      name: "a new life takes the id over, and the old one is fenced",
      run: on(async ({ writer, reader, seen }) => {
        await writer.put(recordOf("a", "old"), { claim: true });
        await seen.until("old", has("put", "a", "old"));
        await reader.put(recordOf("a", "new"), { claim: true });
        await seen.until("new", has("put", "a", "new"));
        let code: unknown;
        await writer
          .put(recordOf("a", "old"), { claim: false })
          .catch((error: { code?: unknown }) => (code = error.code));
        assert(code === "RUNTIME_EPOCH_FENCED", `The old life's renewal gave ${String(code)}.`);
        await writer.remove("a", "old").catch(() => {});
        await reader.put(recordOf("marker", "1"), { claim: true });
        await seen.until("marker", has("put", "marker", "1"));
        assert(!has("removed", "a", "new")(seen.changes), "The old life removed the new one's record.");
      }),
    },
    {
      name: "of many that claim one id at once, exactly one stays its owner",
      run: on(async ({ writer, reader }) => {
        const lives = Array.from({ length: 8 }, (_, i) => `life-${i}`);
        await Promise.all(
          lives.map((epoch, i) => (i % 2 ? writer : reader).put(recordOf("a", epoch), { claim: true })),
        );
        const renewed = await Promise.allSettled(
          lives.map((epoch, i) => (i % 2 ? writer : reader).put(recordOf("a", epoch), { claim: false })),
        );
        const owners = renewed.filter(({ status }) => status === "fulfilled").length;
        assert(owners === 1, `${owners} lives could renew.`);
      }),
    },
    {
      name: "namespaces do not see each other",
      run: on(async ({ writer, seen, open }) => {
        await (await open(0, "other")).put(recordOf("a", "1"), { claim: true });
        await writer.put(recordOf("b", "1"), { claim: true });
        await seen.until("b", has("put", "b", "1"));
        assert(story(seen.changes) === "put b 1", `The watcher was told: ${story(seen.changes)}.`);
      }),
    },
    {
      name: "ids with any characters are kept apart",
      run: on(async ({ writer, seen }) => {
        const ids = ["a.b", "a/b", "a:b", "a*", "a>", "a b", "ä", "..", "a%2Fb", "A", "🙂", "x".repeat(60)];
        for (const id of ids) await writer.put(recordOf(id, "1"), { claim: true });
        await seen.until("all", (changes) => changes.length >= ids.length);
        const told = new Set(seen.changes.map((change) => (change.type === "put" ? change.record.id : "")));
        assert(
          told.size === ids.length && ids.every((id) => told.has(id)),
          `Told: ${[...told].join(" | ")}.`,
        );
        await writer.remove("a*", "1");
        await seen.until("a* gone", has("removed", "a*", "1"));
        assert(seen.changes.length === ids.length + 1, `The watcher was told: ${story(seen.changes)}.`);
      }),
    },
    {
      name: "two hundred records are all told",
      run: on(async ({ writer, seen }) => {
        await Promise.all(
          Array.from({ length: 200 }, (_, i) => writer.put(recordOf(`w${i}`, "1"), { claim: true })),
        );
        await seen.until("all", (changes) => changes.filter(({ type }) => type === "put").length >= 200);
      }),
    },
    {
      name: "after it stopped watching, nothing is told",
      run: on(async ({ writer, reader, seen }) => {
        const told: DiscoveryChange[] = [];
        const stop = reader.watch((change) => told.push(change));
        stop();
        await writer.put(recordOf("a", "1"), { claim: true });
        await seen.until("a", has("put", "a", "1"));
        assert(told.length === 0, `It was told: ${story(told)}.`);
      }),
    },
  ];
}

function recordOf(
  id: string,
  epoch: string,
  more: Parameters<typeof create<typeof RegistrationSchema>>[1] = {},
): Registration {
  return create(RegistrationSchema, { id, epoch, address: "http://127.0.0.1:1", ...more });
}

function watch(store: DiscoveryStore): Seen {
  const changes: DiscoveryChange[] = [];
  const checks = new Set<() => void>();
  store.watch((change) => {
    changes.push(change);
    for (const check of [...checks]) check();
  });
  return {
    changes,
    until: (what, condition) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          checks.delete(check);
          reject(new Error(`Not told in time: ${what}. Told: ${story(changes)}.`));
        }, patienceMs);
        const check = (): void => {
          if (!condition(changes)) return;
          clearTimeout(timer);
          checks.delete(check);
          resolve();
        };
        checks.add(check);
        check();
      }),
  };
}

function has(type: DiscoveryChange["type"], id: string, epoch: string) {
  return (changes: readonly DiscoveryChange[]): boolean =>
    changes.some((change) => {
      const about = change.type === "put" ? change.record : change;
      return change.type === type && about.id === id && about.epoch === epoch;
    });
}

function story(changes: readonly DiscoveryChange[]): string {
  return changes
    .map((change) => {
      const about = change.type === "put" ? change.record : change;
      return `${change.type} ${about.id} ${about.epoch}`;
    })
    .join(", ");
}

function renew(store: DiscoveryStore, record: Registration): { stop(): Promise<void> } {
  let isOver = false;
  const renewing = (async () => {
    while (!isOver) {
      await store.put(record, { claim: false });
      await sleep(systemClock, deadlines.registrationHeartbeatMs);
    }
  })();
  return {
    stop() {
      isOver = true;
      return renewing;
    },
  };
}
