export type { NatsOptions } from "./nats-link.ts";
export type { NatsDiscoveryOptions } from "./nats-discovery.ts";
export { natsDiscovery } from "./nats-discovery.ts";
export type { NatsQueueOptions } from "./nats-queue.ts";
export { natsQueue } from "./nats-queue.ts";
export type { NatsEventsOptions } from "./nats-events.ts";
export { natsEvents } from "./nats-events.ts";
