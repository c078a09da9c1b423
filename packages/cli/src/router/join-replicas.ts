import { createGrpcTransport } from "@connectrpc/connect-node";
import type { Logger } from "@stator/core";
import { createPeerChannel, createReplicaGroup, type PeerChannel, type ReplicaGroup } from "@stator/router";
import { openNatsChannel, routerName } from "../processes/open-replicas.ts";
import type { RouterConfig } from "./router-config.ts";

/** A standalone router among others. */
export interface JoinedReplicas {
  readonly group: ReplicaGroup;
  /** To be served, unless NATS carries. */
  readonly peers: PeerChannel | undefined;
  close(): Promise<void>;
}

/** Joins the other routers of a configuration: over NATS, else peer to peer. An empty list of peers waits for theirs. */
export async function joinReplicas(
  { nats, peers: urls, namespace }: RouterConfig["replicas"] & object,
  logger: Logger,
): Promise<JoinedReplicas> {
  const router = routerName("router");
  if (nats !== undefined) {
    const channel = await openNatsChannel(nats, namespace, logger);
    const group = createReplicaGroup({ channel, router, logger });
    return {
      group,
      peers: undefined,
      async close() {
        group.close();
        await channel.close();
      },
    };
  }
  const peers = createPeerChannel({ peers: urls.map((baseUrl) => createGrpcTransport({ baseUrl })) });
  const group = createReplicaGroup({ channel: peers, router, logger });
  return {
    group,
    peers,
    close() {
      group.close();
      peers.close();
      return Promise.resolve();
    },
  };
}
