import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { CoreError, type Logger } from "@stator/core";
import { recording, type Selector } from "@stator/router";

/** A file of decisions, appended to. */
export interface DecisionFile {
  record(selector: Selector): Selector;
  /** Resolves once all that was recorded is written. */
  close(): Promise<void>;
}

/** @throws CoreError `CORE_OPTION_INVALID` when the file cannot be opened. Later failures end the recording, with an error in the log. */
export async function openDecisionFile(path: string, logger: Logger): Promise<DecisionFile> {
  const stream = createWriteStream(path, { flags: "a" });
  try {
    await once(stream, "open");
  } catch (cause) {
    throw new CoreError({
      code: "CORE_OPTION_INVALID",
      kind: "invalid",
      message: `decisions: ${path} cannot be written: ${String(cause)}`,
      cause,
    });
  }
  let isBroken = false;
  stream.on("error", (error) => {
    isBroken = true;
    logger.error("decisions are no longer recorded", { path, error: String(error) });
  });
  const sink = {
    write: (line: string) => stream.write(line),
    get writableNeedDrain() {
      return isBroken || stream.writableNeedDrain;
    },
  };
  return {
    record: (selector) => recording(selector, sink),
    async close() {
      if (isBroken) return;
      stream.end();
      await finished(stream).catch(() => undefined);
    },
  };
}
