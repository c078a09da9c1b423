import type { EventChannel, EventPlane } from "../events/event-plane.ts";
import { openNatsLink, type NatsOptions } from "./nats-link.ts";

export interface NatsEventsOptions extends NatsOptions {
  /** Before every subject. Default "stator". */
  readonly prefix?: string;
}

/**
 * An event plane over core NATS. While there is no connection, what is said is dropped at once rather than parked in the
 * client: listeners notice the gap and heal it.
 */
export function natsEvents(options: NatsEventsOptions = {}): EventPlane {
  const { prefix = "stator" } = options;
  return {
    name: `nats ${[options.servers ?? "nats://127.0.0.1:4222"].flat().join(",")}`,
    async open(context) {
      const link = openNatsLink(options, context);
      await link.get().catch(() => {});
      const root = `${prefix}.${context.namespace}.events`;
      let isUp = false;
      let publish: (subject: string, payload: Uint8Array) => void = () => {};
      link.onOpen((connection) => {
        isUp = true;
        publish = (subject, payload) => connection.publish(subject, payload);
        void (async () => {
          for await (const { type } of connection.status()) {
            if (type === "disconnect" || type === "staleConnection") isUp = false;
            else if (type === "reconnect") isUp = true;
          }
          isUp = false;
        })();
      });
      const channel: EventChannel = {
        publish(topic, payload) {
          if (isUp) publish(`${root}.${topic}`, payload);
          return isUp;
        },
        subscribe(topic, listener) {
          let isStopped = false;
          let stop = (): void => {};
          link.onOpen((connection) => {
            if (isStopped) return;
            const subscription = connection.subscribe(`${root}.${topic}`, {
              callback: (_error, message) => listener(message.data),
            });
            stop = () => subscription.unsubscribe();
          });
          return () => {
            isStopped = true;
            stop();
          };
        },
        close: () => link.close(),
      };
      return channel;
    },
  };
}
