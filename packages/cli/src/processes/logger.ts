import type { Logger } from "@stator/core";
import { pino, type Level } from "pino";

/** Structured logs of an executable, JSON lines on standard error. */
export function createLogger(level: Level | "silent", fields: Readonly<Record<string, unknown>>): Logger {
  const log = pino(
    { level, base: fields, redact: ["*.authorization", "*.apiKey", "*.prompt"] },
    pino.destination({ fd: 2, sync: true }),
  );
  return {
    debug: (message, more) => log.debug(more ?? {}, message),
    info: (message, more) => log.info(more ?? {}, message),
    warn: (message, more) => log.warn(more ?? {}, message),
    error: (message, more) => log.error(more ?? {}, message),
  };
}
