import cluster from "node:cluster";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { CoreError, type Layout, type Logger, type WorkerRole } from "@stator/core";
import type { Selector } from "@stator/router";
import { type DecisionFile, openDecisionFile } from "./decision-file.ts";

/** Decisions of a frontend's pools, a file each: `stator simulate --decisions FILE` replays one. */
export interface DecisionFolder {
  record(selector: Selector, pool: { readonly model: string; readonly role: WorkerRole }): Selector;
  /** Resolves once all that was recorded is written. */
  close(): Promise<void>;
}

/**
 * Opens `MODEL.ROLE.jsonl` for every pool of the layout, in a folder that is made if need be; further frontends of one port
 * write `MODEL.ROLE.2.jsonl` and so on. What is there is appended to.
 *
 * @throws CoreError `CORE_OPTION_INVALID` when the folder or a file cannot be written.
 */
export async function openDecisionFolder(
  folder: string,
  { models }: Layout,
  logger: Logger,
): Promise<DecisionFolder> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new CoreError({
      code: "CORE_OPTION_INVALID",
      kind: "invalid",
      message: `--record-decisions: ${folder} cannot be made: ${String(cause)}`,
      cause,
    });
  }
  const frontend = cluster.worker === undefined || cluster.worker.id === 1 ? "" : `.${cluster.worker.id}`;
  const files = new Map<string, DecisionFile>();
  for (const [model, { pools }] of Object.entries(models))
    for (const { role } of Object.values(pools)) {
      const name = `${encodeURIComponent(model)}.${role}${frontend}.jsonl`;
      files.set(`${model}/${role}`, await openDecisionFile(path.join(folder, name), logger));
    }
  return {
    record: (selector, { model, role }) => files.get(`${model}/${role}`)?.record(selector) ?? selector,
    async close() {
      await Promise.all([...files.values()].map((file) => file.close()));
    },
  };
}
