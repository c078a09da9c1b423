import { StatorError } from "@stator/core";

/**
 * Says on stderr what went wrong and returns the exit code: 2 for what the user can mend in the command or a file,
 * 130 after Ctrl-C, 1 for the rest.
 */
export function reportFailure(error: unknown): number {
  if (StatorError.isInstance(error)) {
    if (error.kind === "cancelled") return 130;
    process.stderr.write(`stator: ${error.message} [${error.code}]\n`);
    return error.kind === "invalid" || error.kind === "notFound" ? 2 : 1;
  }
  process.stderr.write(
    `stator: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return 1;
}
