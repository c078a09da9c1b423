import { clone } from "@bufbuild/protobuf";
import { RegistrationSchema, type Registration } from "@stator/contracts";
import type { Clock, Deadlines, Logger } from "@stator/core";
import { RuntimeError } from "../runtime-error.ts";
import type { DiscoveryStore } from "./discovery.ts";

/** Keeps one record registered until it is withdrawn. */
export interface Registrar {
  /** Writes a changed record now and from now on. */
  update(change: (record: Registration) => void): void;
  /** Takes the record back; a store that does not answer is left to forget it. */
  withdraw(): Promise<void>;
  /** Stops renewing and says nothing: the lease runs out, as after a crash. */
  abandon(): void;
}

export interface RegistrarOptions {
  readonly store: DiscoveryStore;
  readonly record: Registration;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  /** Told after each renewal whether the store answered. */
  readonly onAnswer?: ((isUp: boolean) => void) | undefined;
  /** Another life took the id: stop serving. */
  readonly onFenced: (error: RuntimeError) => void;
}

/**
 * Writes the record and renews it for as long as it lives. A store that is lost gets it when it is back, one that was
 * emptied at the next renewal: this never fails for the store's sake.
 */
export async function register(options: RegistrarOptions): Promise<Registrar> {
  const { store, clock, deadlines, logger } = options;
  let record = clone(RegistrationSchema, options.record);
  let isOver = false;
  let failures = 0;
  let hasClaimed = false;
  let writing: Promise<void> = Promise.resolve();

  const renew = (): void => {
    writing = writing.then(async () => {
      if (isOver) return;
      try {
        await store.put(record, { claim: !hasClaimed });
        hasClaimed = true;
        options.onAnswer?.(true);
        if (failures > 0) logger.info("registration is back", { id: record.id, failures });
        failures = 0;
      } catch (error) {
        if (RuntimeError.isInstance(error) && error.code === "RUNTIME_EPOCH_FENCED") {
          isOver = true;
          options.onFenced(error);
          return;
        }
        failures += 1;
        options.onAnswer?.(false);
        if (failures === 1)
          logger.warn("registration could not be renewed", { id: record.id, error: String(error) });
      }
      schedule();
    });
  };

  const schedule = (): void => {
    timer.cancel();
    if (isOver) return;
    // Jitter, so that a store that comes back is not met by all at once.
    timer = clock.schedule(deadlines.registrationHeartbeatMs * (0.8 + 0.2 * Math.random()), renew);
  };
  let timer = { cancel: (): void => {} };

  renew();
  await writing;

  return {
    update(change) {
      record = clone(RegistrationSchema, record);
      change(record);
      renew();
    },
    async withdraw() {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      await writing;
      await store.remove(record.id, record.epoch).catch((error: unknown) => {
        logger.warn("registration could not be withdrawn", { id: record.id, error: String(error) });
      });
    },
    abandon() {
      isOver = true;
      timer.cancel();
    },
  };
}
