import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { sleep, systemClock, type Clock } from "@stator/core";

/** One direction of the proxy: `up` is from the client to the target. */
export type ProxyDirection = "up" | "down";

/** What happens to the bytes of one direction. */
export interface ProxyFaults {
  /** Delay of each piece, in ms. Default 0. */
  readonly latencyMs?: number;
  /** Up to so much more, at random; order is kept. Default 0. */
  readonly jitterMs?: number;
  /** Bytes per second. Default: no limit. */
  readonly bytesPerSecond?: number;
  /** Bytes are swallowed, connections stay open: a one-way partition when only one direction has it. Default false. */
  readonly isBlackhole?: boolean;
  /** Probability that a piece gets one bit flipped, 0 to 1. Default 0. */
  readonly corruptProbability?: number;
  /** Pieces are cut to at most so many bytes. Default: as they come. */
  readonly sliceBytes?: number;
}

export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Interface to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** From 0 to 1; seed it to repeat a run. Default `Math.random`. */
  readonly random?: () => number;
  /** For the delays. Default: the machine's. */
  readonly clock?: Clock;
}

/** A TCP proxy that hurts what passes. It needs no privileges, unlike netem. */
export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  readonly connections: number;
  readonly bytes: Readonly<Record<ProxyDirection, number>>;
  /** Replaces the faults of one direction, for open connections too; without `direction`, of both. */
  set(faults: ProxyFaults, direction?: ProxyDirection): void;
  /** Nothing is hurt from here on. What was swallowed stays lost. */
  heal(): void;
  /** Resets every open connection. With `afterBytes`: when so many more bytes went down. */
  cut(afterBytes?: number): void;
  /** Calls back once so many more bytes went down: no byte after them has passed then. */
  at(afterBytes: number, act: () => void): void;
  /** Flips a bit of the byte that goes down after so many more. */
  flip(afterBytes: number): void;
  /** New connections are reset until `heal`. */
  refuse(): void;
  /** Resets every open connection; new ones go there. */
  lead(target: FaultProxyOptions["target"]): void;
  close(): Promise<void>;
}

/** @throws Error of `node:net` when it cannot listen. */
export async function createFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const random = options.random ?? Math.random;
  const clock = options.clock ?? systemClock;
  const faults: Record<ProxyDirection, ProxyFaults> = { up: {}, down: {} };
  const bytes: Record<ProxyDirection, number> = { up: 0, down: 0 };
  const pairs = new Set<readonly [Socket, Socket]>();
  let isRefusing = false;
  let { target } = options;
  /** Of bytes down: where something is to happen, and where a bit is to be flipped. */
  let point: { readonly atBytes: number; readonly act: () => void } | undefined;
  let flipAtBytes: number | undefined;

  const cutAll = (): void => {
    point = undefined;
    for (const [client, upstream] of [...pairs]) {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
  };

  const pass = (from: Socket, to: Socket, direction: ProxyDirection): void => {
    let queue = Promise.resolve();
    const send = async (piece: Buffer): Promise<void> => {
      const {
        latencyMs = 0,
        jitterMs = 0,
        bytesPerSecond,
        isBlackhole = false,
        corruptProbability = 0,
      } = faults[direction];
      const delayMs =
        latencyMs +
        jitterMs * random() +
        (bytesPerSecond === undefined ? 0 : (piece.length / bytesPerSecond) * 1_000);
      if (delayMs > 0) await sleep(clock, delayMs);
      if (isBlackhole || to.destroyed) return;
      if (corruptProbability > 0 && random() < corruptProbability) {
        const at = Math.floor(random() * piece.length);
        piece[at] = piece[at]! ^ (1 << Math.floor(random() * 8));
      }
      const reached =
        direction === "down" && point !== undefined && bytes.down + piece.length >= point.atBytes
          ? point
          : undefined;
      let passing = piece;
      if (reached !== undefined) {
        const before = piece.subarray(0, reached.atBytes - bytes.down);
        passing = piece.subarray(before.length);
        point = undefined;
        bytes.down += before.length;
        await new Promise<void>((resolve) => to.write(before, () => resolve()));
        reached.act();
        if (to.destroyed) return;
      }
      if (direction === "down" && flipAtBytes !== undefined && bytes.down + passing.length > flipAtBytes) {
        const at = flipAtBytes - bytes.down;
        passing[at] = passing[at]! ^ 1;
        flipAtBytes = undefined;
      }
      bytes[direction] += passing.length;
      const hasRoom = to.write(passing);
      if (!hasRoom && !to.destroyed) {
        await new Promise<void>((resolve) => {
          const go = (): void => {
            to.off("drain", go);
            to.off("close", go);
            resolve();
          };
          to.once("drain", go);
          to.once("close", go);
        });
      }
    };
    from.on("data", (data: Buffer) => {
      const { sliceBytes = data.length } = faults[direction];
      from.pause();
      for (let at = 0; at < data.length; at += sliceBytes) {
        const piece = Buffer.from(data.subarray(at, at + sliceBytes));
        queue = queue.then(() => send(piece));
      }
      queue = queue.then(() => void from.resume());
    });
    from.on("end", () => {
      queue = queue.then(() => {
        if (faults[direction].isBlackhole !== true) to.end();
        // Both said goodbye and neither heard it: nothing would ever close them.
        else if (to.readableEnded) {
          from.destroy();
          to.destroy();
        }
      });
    });
    from.on("error", () => to.resetAndDestroy());
  };

  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (isRefusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ ...target, allowHalfOpen: true });
    const pair = [client, upstream] as const;
    pairs.add(pair);
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    const forget = (): void => void pairs.delete(pair);
    client.once("close", forget);
    upstream.once("close", () => {
      forget();
      client.destroy();
    });
    pass(client, upstream, "up");
    pass(upstream, client, "down");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, options.host ?? "127.0.0.1", resolve);
  });

  const proxy: FaultProxy = {
    port: (server.address() as AddressInfo).port,
    bytes,
    get connections() {
      return pairs.size;
    },
    set(next, direction) {
      if (direction !== "down") faults.up = next;
      if (direction !== "up") faults.down = next;
    },
    heal() {
      isRefusing = false;
      faults.up = {};
      faults.down = {};
    },
    cut(afterBytes) {
      if (afterBytes === undefined) cutAll();
      else proxy.at(afterBytes, cutAll);
    },
    at(afterBytes, act) {
      point = { atBytes: bytes.down + afterBytes, act };
    },
    flip(afterBytes) {
      flipAtBytes = bytes.down + afterBytes;
    },
    lead(next) {
      target = next;
      cutAll();
    },
    refuse() {
      isRefusing = true;
    },
    async close() {
      cutAll();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
    [Symbol.asyncDispose]: () => proxy.close(),
  };
  return proxy;
}
