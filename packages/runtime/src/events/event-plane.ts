import type { Clock, Deadlines, Logger } from "@stator/core";

/** What a plane is opened with. */
export interface EventPlaneContext {
  readonly namespace: string;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
}

/** Many to many, at most once: for what is news to processes that hold no session. Who misses some must find out. */
export interface EventChannel {
  /** Says it to all that listen now. False: nobody can hear, and it is dropped. */
  publish(topic: string, payload: Uint8Array): boolean;
  subscribe(topic: string, listener: (payload: Uint8Array) => void): () => void;
  close(): Promise<void>;
}

/** A kind of event plane, to be given to `createRuntime`. */
export interface EventPlane {
  readonly name: string;
  open(context: EventPlaneContext): Promise<EventChannel>;
}
