import type { WorkerRole } from "@stator/core";

/** What a worker process of the fault rig is started with, as JSON. */
export interface WorkerConfig {
  readonly name: string;
  readonly role: WorkerRole;
  readonly discovery: string;
  readonly engine: "simulated" | "llama";
  /** Of the simulated engine. */
  readonly stepMs: number;
  readonly perPrefillTokenMs: number;
  readonly kvBlocks: number;
  readonly blockBytes: number;
  /** How long KV is held for decode without renewal. */
  readonly leaseMs: number;
  /** Requests that run at once. */
  readonly requests: number;
  readonly queue: number;
  /** Waits before a fetch of handed-over KV begins, so that a fault can strike first. */
  readonly holdFetchMs: number;
  /** KV goes over sockets, not through shared memory. */
  readonly isTcp: boolean;
  /** Computing this id ends the process. */
  readonly poisonId?: number;
  /** Contract versions of the card. Default: this build's. */
  readonly contract?: { readonly min: number; readonly max: number };
  /** NATS server for KV events. Default: none. */
  readonly events?: string;
}

export const defaultWorkerConfig: Omit<WorkerConfig, "name" | "role" | "discovery"> = {
  engine: "simulated",
  stepMs: 5,
  perPrefillTokenMs: 0.02,
  kvBlocks: 4_096,
  blockBytes: 1_024,
  leaseMs: 10_000,
  requests: 64,
  queue: 256,
  holdFetchMs: 0,
  isTcp: false,
};
