import type { Clock, Deadlines, HealthGroup, Logger } from "@stator/core";
import type { DiscoveryStore } from "./discovery/discovery.ts";
import type { EventChannel } from "./events/event-plane.ts";
import type { LocalEnd } from "./local-ends.ts";

/** What the parts of one runtime share. */
export interface RuntimeContext {
  readonly store: DiscoveryStore;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  /** The discovery store answered, or did not. */
  readonly onAnswer: (isUp: boolean) => void;
  readonly health: HealthGroup;
  readonly end: LocalEnd;
  /** Where KV events are told to processes without a session, if anywhere. */
  readonly events: EventChannel | undefined;
  /** Sees to it that others can call, and gives the address to register. */
  listen(): Promise<string>;
  /** The set of routes changed. */
  reroute(): Promise<void>;
}

/** Names one life of something that registers. */
export function newEpoch(): string {
  return `${Date.now().toString(36)}-${randomName(8)}`;
}

export function randomName(length: number): string {
  return Math.random().toString(36).slice(2).padEnd(length, "0").slice(0, length);
}
