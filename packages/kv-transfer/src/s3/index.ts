export type { S3TransportOptions } from "./s3-transport.ts";
export { defaultChunkBytes, s3 } from "./s3-transport.ts";
export type { S3TierOptions } from "./s3-tier.ts";
export { s3Tier } from "./s3-tier.ts";
