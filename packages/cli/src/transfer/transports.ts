import { CoreError } from "@stator/core";
import { cma, loadTransferAddon, sharedMemory, tcp, ucx, type Transport } from "@stator/kv-transfer";

const makers: Readonly<Record<string, () => Transport>> = {
  shm: () => sharedMemory(),
  cma: () => cma(),
  tcp: () => tcp(),
  ucx: () => ucx(),
};

/** Names that `--transport` takes. */
export const transportNames: readonly string[] = Object.keys(makers);

/** Why a transport cannot be tried here; undefined when it can. */
export function transportProblem(name: string): string | undefined {
  const addon = loadTransferAddon();
  if ((name === "cma" || name === "ucx") && !addon.isAvailable)
    return `needs the native addon: ${addon.reason}`;
  return undefined;
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
