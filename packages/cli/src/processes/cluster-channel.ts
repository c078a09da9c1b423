import cluster, { type Worker } from "node:cluster";
import type { ReplicaChannel } from "@stator/router";

/** What one process said within `TOGETHER_MS`: topic and base64, alternating. Each message between processes costs a write. */
interface ReplicaLine {
  readonly type: "stator:replica";
  readonly said: readonly string[];
}

/** How long what is said waits for more, in milliseconds: far below what a booking lives. */
const TOGETHER_MS = 5;
/** What waits goes out at once beyond this many payloads. */
const MOST_TOGETHER = 128;

function isReplicaLine(message: unknown): message is ReplicaLine {
  return (message as { readonly type?: unknown } | undefined)?.type === "stator:replica";
}

/** Between processes of one Node cluster: their primary hands on what each says. */
export function clusterChannel(): ReplicaChannel & { close(): void } {
  const listeners = new Map<string, Set<(payload: Uint8Array) => void>>();
  let said: string[] = [];
  let timer: NodeJS.Timeout | undefined;

  function send(): void {
    clearTimeout(timer);
    timer = undefined;
    if (said.length === 0) return;
    const line: ReplicaLine = { type: "stator:replica", said };
    said = [];
    if (process.connected === true) process.send?.(line, undefined, undefined, () => undefined);
  }
  const receive = (message: unknown): void => {
    if (!isReplicaLine(message)) return;
    for (let i = 0; i + 1 < message.said.length; i += 2) {
      const topic = message.said[i]!;
      if (!listeners.has(topic)) continue;
      const payload = Buffer.from(message.said[i + 1]!, "base64");
      for (const listener of [...(listeners.get(topic) ?? [])]) listener(payload);
    }
  };
  process.on("message", receive);
  return {
    publish(topic, payload) {
      if (process.connected !== true) return false;
      const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
      said.push(topic, bytes.toString("base64"));
      if (said.length >= 2 * MOST_TOGETHER) send();
      else timer ??= setTimeout(send, TOGETHER_MS);
      return true;
    },
    subscribe(topic, listener) {
      let all = listeners.get(topic);
      if (all === undefined) listeners.set(topic, (all = new Set()));
      all.add(listener);
      return () => all.delete(listener);
    },
    close() {
      send();
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
