/** Structured fields of a log line. Never prompts, completions, keys or authorization headers. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where libraries write what an operator should know. `pino` loggers fit through `pinoLogger` of the executables. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const nothing = (): void => {};

/** Says nothing: every library's default. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
