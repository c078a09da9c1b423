import { CoreError } from "@stator/core";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  cma,
  createAgent,
  file,
  loadTransferAddon,
  sharedMemory,
  tcp,
  ucx,
  type Transport,
} from "@stator/kv-transfer";

const makers: Readonly<Record<string, () => Transport>> = {
  shm: () => sharedMemory(),
  cma: () => cma(),
  tcp: () => tcp(),
  ucx: () => ucx(),
  file: () => file({ directory: filesDirectory() }),
};

/** Where the files of `file` lie: the same for all processes of a user. */
function filesDirectory(): string {
  const directory = path.join(tmpdir(), `stator-transfer-${process.getuid?.() ?? -1}`);
  mkdirSync(directory, { mode: 0o700, recursive: true });
  return directory;
}

/** Names that `--transport` takes. */
export const transportNames: readonly string[] = Object.keys(makers);

/** Why a transport can't be used on this machine, found out by opening it; undefined when it can. */
export async function transportProblem(name: string): Promise<string | undefined> {
  const transport = transportNamed(name);
  const addon = loadTransferAddon();
  if ((name === "cma" || name === "ucx") && !addon.isAvailable)
    return `needs the native addon: ${addon.reason}`;
  try {
    await (await createAgent({ transports: [transport] })).close();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** @throws CoreError `CORE_OPTION_INVALID` for a name that is none. */
export function transportNamed(name: string): Transport {
  const make = Object.hasOwn(makers, name) ? makers[name] : undefined;
  if (make === undefined) {
    throw new CoreError({
      code: "CORE_OPTION_INVALID",
      kind: "invalid",
      message: `There is no transport "${name}"; there are ${transportNames.join(", ")}.`,
    });
  }
  return make();
}
