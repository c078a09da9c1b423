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
  const unreadable = unreadableFile(error);
  if (unreadable !== undefined) {
    process.stderr.write(`stator: ${unreadable}\n`);
    return 2;
  }
  process.stderr.write(
    `stator: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return 1;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of the path is no directory",
};

/** What is wrong with a file that the user named; undefined for any other failure. */
function unreadableFile(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? undefined : reasons[code];
  return reason === undefined || path === undefined ? undefined : `${path}: ${reason}`;
}
