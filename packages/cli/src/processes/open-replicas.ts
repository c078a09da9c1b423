import { randomUUID } from "node:crypto";
import cluster from "node:cluster";
import { createDeadlines, systemClock, type Logger } from "@stator/core";
import { createReplicaGroup, type ReplicaChannel, type ReplicaGroup } from "@stator/router";
import { clusterChannel } from "./cluster-channel.ts";

/** A router's place among its replicas, and what carries it. */
export interface OpenReplicas {
  readonly group: ReplicaGroup;
  close(): Promise<void>;
}

export interface ReplicasAddress {
  /** `session`, or where NATS is. */
  readonly events: string;
  readonly namespace: string;
  readonly logger: Logger;
}

/**
 * Joins this process with the routers beside it: over NATS when the layout's event plane is there, else through the process
 * that started several of them. Undefined when there is neither: a router alone.
 */
export async function openReplicas(address: ReplicasAddress): Promise<OpenReplicas | undefined> {
  const { events, namespace, logger } = address;
  if (/^(nats|tls):\/\//.test(events)) {
    const channel = await openNatsChannel(events, namespace, logger);
    return among(channel, logger, () => channel.close());
  }
  if (!cluster.isWorker) return undefined;
  const channel = clusterChannel();
  return among(channel, logger, () => Promise.resolve(channel.close()));
}

/** NATS as a channel between routers. */
export async function openNatsChannel(
  servers: string,
  namespace: string,
  logger: Logger,
): Promise<ReplicaChannel & { close(): Promise<void> }> {
  const { natsEvents } = await import("@stator/runtime/nats");
  return natsEvents({ servers }).open({
    namespace,
    clock: systemClock,
    deadlines: createDeadlines(),
    logger,
  });
}

/** A name for this life of this router. */
export function routerName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 13)}`;
}

function among(channel: ReplicaChannel, logger: Logger, closeChannel: () => Promise<void>): OpenReplicas {
  const group = createReplicaGroup({ channel, router: routerName("frontend"), logger });
  return {
    group,
    async close() {
      group.close();
      await closeChannel();
    },
  };
}
