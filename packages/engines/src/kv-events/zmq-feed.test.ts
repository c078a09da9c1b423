import { silentLogger } from "@stator/core";
import { afterEach, describe, expect, test } from "vitest";
import {
  startKvPublisher,
  type KvPublisher,
  type KvPublisherOptions,
} from "../testing/fakes/kv-publisher.ts";
import { ofRank, parseFeedAddress } from "./feed-address.ts";
import { readZmqFeed } from "./zmq-feed.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function feed(options: KvPublisherOptions & { withReplay?: boolean } = {}): Promise<{
  publisher: KvPublisher;
  seen: (number | string)[];
  event(n: number): unknown[];
}> {
  const publisher = await startKvPublisher(options);
  const seen: (number | string)[] = [];
  const stop = await readZmqFeed({
    endpoint: publisher.endpoint,
    replay: options.withReplay === false ? undefined : publisher.replay,
    onBatch: ({ events }) => {
      for (const event of events) if (event.type === "removed") seen.push(Number(event.keys[0]));
    },
    onLost: (reason) => seen.push(reason.split(" ").slice(0, 3).join(" ")),
    logger: silentLogger,
  });
  stops.push(stop, () => publisher.close());
  const event = (n: number): unknown[] => [["BlockRemoved", [n]]];
  // A subscription takes a moment; the first message that arrives begins the feed.
  await expect
    .poll(
      async () => {
        await publisher.publish([]);
        await publisher.publish(event(0));
        return seen.includes(0);
      },
      { timeout: 5_000, interval: 20 },
    )
    .toBe(true);
  await publisher.publish(event(99));
  await expect.poll(() => seen.at(-1)).toBe(99);
  seen.length = 0;
  return { publisher, seen, event };
}

describe("a gap", () => {
  test.each([3, 4] as const)("is replayed, from replies of %i frames", async (replayFrames) => {
    const { publisher, seen, event } = await feed({ replayFrames });
    await publisher.publish(event(1));
    await publisher.publish(event(2), { isLost: true });
    await publisher.publish(event(3), { isLost: true });
    await publisher.publish(event(4));
    await expect.poll(() => seen).toEqual([1, 2, 3, 4]);
  });

  test("that cannot be replayed drops what was known", async () => {
    const { publisher, seen, event } = await feed({ withReplay: false });
    await publisher.publish(event(1), { isLost: true });
    await publisher.publish(event(2));
    await expect.poll(() => seen).toEqual([expect.stringContaining("messages"), 2]);
  });

  test("that the engine has forgotten in part drops what was known, and keeps the rest", async () => {
    const { publisher, seen, event } = await feed({ bufferSteps: 2 });
    for (const n of [1, 2, 3]) await publisher.publish(event(n), { isLost: true });
    await publisher.publish(event(4));
    await expect.poll(() => seen).toEqual(["the engine's replay", 3, 4]);
  });
});

test("numbers that begin again mean another life of the engine", async () => {
  const { publisher, seen, event } = await feed();
  publisher.restart();
  await publisher.publish(event(7));
  await expect.poll(() => seen).toEqual(["the engine restarted", 7]);
});

test("a message that cannot be read drops what was known", async () => {
  const { publisher, seen, event } = await feed();
  await publisher.publish([], { payload: Uint8Array.of(0xc1) });
  await publisher.publish(event(2));
  await expect.poll(() => seen).toEqual(["a message could", 2]);
});

test("addresses name the replay port, and ranks follow at the next ones", () => {
  expect(parseFeedAddress("tcp://h:5557?replay=5558")).toEqual({
    endpoint: "tcp://h:5557",
    replay: "tcp://h:5558",
  });
  expect(ofRank("tcp://h:5557", 3)).toBe("tcp://h:5560");
  expect(() => parseFeedAddress("h:5557")).toThrow("expected tcp://host:port");
});
