import type { EventChannel, EventPlane } from "./event-plane.ts";

/** An event plane in this process: for runtimes that are given the same object. */
export function memoryEvents(): EventPlane {
  const topics = new Map<string, Set<(payload: Uint8Array) => void>>();
  return {
    name: "memory",
    open({ namespace }) {
      const stops = new Set<() => void>();
      const channel: EventChannel = {
        publish(topic, payload) {
          const listeners = topics.get(`${namespace}/${topic}`);
          if (listeners === undefined) return false;
          const copy = new Uint8Array(payload);
          for (const listener of [...listeners]) queueMicrotask(() => listener(copy));
          return true;
        },
        subscribe(topic, listener) {
          const key = `${namespace}/${topic}`;
          let listeners = topics.get(key);
          if (listeners === undefined) topics.set(key, (listeners = new Set()));
          const all = listeners;
          // Its own function, so that one listener may subscribe twice.
          const mine = (payload: Uint8Array): void => {
            if (all.has(mine)) listener(payload);
          };
          all.add(mine);
          const stop = (): void => {
            all.delete(mine);
            stops.delete(stop);
          };
          stops.add(stop);
          return stop;
        },
        close() {
          for (const stop of stops) stop();
          return Promise.resolve();
        },
      };
      return Promise.resolve(channel);
    },
  };
}
