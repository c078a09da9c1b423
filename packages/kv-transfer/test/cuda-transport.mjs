// The cuda transport on a driver of a test's choice: what the second process of a test imports.
import { openCuda } from "@stator/cuda-bindings";
import { cuda } from "@stator/kv-transfer";

/** @param {{ library?: string, sharing?: "fd" | "ipc" }} options the driver; default: the system's */
export function cudaUnderTest({ library, sharing } = {}) {
  return cuda({
    driver: openCuda(library === undefined ? {} : { library }),
    ...(sharing === undefined ? {} : { sharing }),
  });
}
