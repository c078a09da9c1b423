import cluster, { type Worker } from "node:cluster";
import type { ReplicaChannel } from "@stator/router";

interface ReplicaLine {
  readonly type: "stator:replica";
  readonly topic: string;
  readonly payload: string;
}

function isReplicaLine(message: unknown): message is ReplicaLine {
  return (message as { readonly type?: unknown } | undefined)?.type === "stator:replica";
}

/** Between processes of one Node cluster: their primary hands on what each says. */
export function clusterChannel(): ReplicaChannel & { close(): void } {
  const listeners = new Map<string, Set<(payload: Uint8Array) => void>>();
  const receive = (message: unknown): void => {
    if (!isReplicaLine(message)) return;
    const payload = Buffer.from(message.payload, "base64");
    for (const listener of [...(listeners.get(message.topic) ?? [])]) listener(payload);
  };
  process.on("message", receive);
  return {
    publish(topic, payload) {
      if (process.connected !== true) return false;
      const line: ReplicaLine = {
        type: "stator:replica",
        topic,
        payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("base64"),
      };
      process.send?.(line, undefined, undefined, () => undefined);
      return true;
    },
    subscribe(topic, listener) {
      let all = listeners.get(topic);
      if (all === undefined) listeners.set(topic, (all = new Set()));
      all.add(listener);
      return () => all.delete(listener);
    },
    close() {
      process.off("message", receive);
      listeners.clear();
    },
  };
}

/** The primary's part, for one worker process. */
export function relayReplicas(worker: Worker): void {
  worker.on("message", (message: unknown) => {
    if (!isReplicaLine(message)) return;
    for (const other of Object.values(cluster.workers ?? {}))
      if (other !== undefined && other.id !== worker.id && other.isConnected())
        other.send(message, () => undefined);
  });
}
