// The cuda transport on a driver of a test's choice: what the second process of a test imports.
import { openCuda } from "@stator/cuda-bindings";
import { cuda, type CudaTransportOptions, type Transport } from "@stator/kv-transfer";

export interface CudaUnderTest extends Pick<CudaTransportOptions, "sharing"> {
  /** The driver. Default: the system's. */
  readonly library?: string;
}

export function cudaUnderTest({ library, sharing }: CudaUnderTest = {}): Transport {
  return cuda({
    driver: openCuda(library === undefined ? {} : { library }),
    ...(sharing === undefined ? {} : { sharing }),
  });
}
