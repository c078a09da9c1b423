import { sleep, type Clock, type Deadlines, type Logger } from "@stator/core";
import { connect, type ConnectionOptions, type NatsConnection } from "@nats-io/transport-node";

export interface NatsOptions {
  /** Servers of one cluster. Default `nats://127.0.0.1:4222`. */
  readonly servers?: string | readonly string[];
  /** Credentials, TLS and names as the NATS client takes them. Its timing is set by the deadline table. */
  readonly connection?: Omit<ConnectionOptions, "servers">;
}

export interface NatsLinkContext {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
}

/** A connection that is opened in the background and never given up until it is closed. */
export interface NatsLink {
  readonly name: string;
  /** The connection, waiting for the first one as long as for any connection. @throws Error when there is none yet. */
  get(): Promise<NatsConnection>;
  /** Called with the connection once it is there. */
  onOpen(listener: (connection: NatsConnection) => void): void;
  close(): Promise<void>;
}

/** Wait between two tries of the first connection, in milliseconds. */
const retryMs = 200;

export function openNatsLink(options: NatsOptions, context: NatsLinkContext): NatsLink {
  const { clock, deadlines, logger } = context;
  const servers = [options.servers ?? "nats://127.0.0.1:4222"].flat();
  const name = `nats ${servers.join(",").replaceAll(/\/\/[^@/]*@/g, "//")}`;
  const controller = new AbortController();
  const listeners = new Set<(connection: NatsConnection) => void>();
  let connection: NatsConnection | undefined;

  const open = async (): Promise<void> => {
    for (let failures = 0; !controller.signal.aborted; failures++) {
      try {
        const opened = await connect({
          ...options.connection,
          servers: [...servers],
          timeout: deadlines.connectMs,
          // The defaults give up after 10 tries, and call a silent server alive for four minutes.
          reconnect: true,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 100,
          reconnectJitter: 400,
          pingInterval: deadlines.natsStaleMs / 3,
          maxPingOut: 2,
        });
        if (controller.signal.aborted) return await opened.close();
        connection = opened;
        for (const listener of listeners) listener(opened);
        return;
      } catch (error) {
        if (failures === 0) logger.warn("NATS is not reachable yet", { servers: name, error: String(error) });
        await sleep(clock, retryMs * (0.5 + Math.random()), controller.signal).catch(() => {});
      }
    }
  };
  const opening = open();

  return {
    name,
    async get() {
      if (connection !== undefined) return connection;
      await Promise.race([opening, sleep(clock, deadlines.connectMs)]);
      if (connection === undefined) throw new Error("there is no connection yet");
      return connection;
    },
    onOpen(listener) {
      listeners.add(listener);
      if (connection !== undefined) listener(connection);
    },
    async close() {
      controller.abort(new Error("closed"));
      listeners.clear();
      await connection?.close();
    },
  };
}
