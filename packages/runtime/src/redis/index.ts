export type { RedisDiscoveryOptions } from "./redis-discovery.ts";
export { redisDiscovery } from "./redis-discovery.ts";
