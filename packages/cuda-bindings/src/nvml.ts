import { calling, CudaError } from "./cuda-error.ts";
import { loadCudaAddon } from "./cuda-addon.ts";

/** NVML's library as the loader finds it; it comes with every NVIDIA driver. */
export const defaultNvmlLibrary = "libnvidia-ml.so.1";

export interface NvmlOptions {
  /** Library to open. Default `libnvidia-ml.so.1`. */
  readonly library?: string;
}

export interface NvLinkState {
  readonly link: number;
  readonly isActive: boolean;
  /** KiB since the driver was loaded, where the device counts them. */
  readonly transmitKib?: number;
  readonly receiveKib?: number;
  /** The device at its other end: a GPU of this node, or a switch. */
  readonly remotePciBusId?: string;
}

/** One GPU as NVML sees it. A figure that the device does not have is `undefined`. Each method is one question to the driver, some microseconds to a millisecond. */
export interface NvmlDevice {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Percent of the last sample period in which a kernel ran, and in which memory was read or written. */
  utilization(): { readonly gpu: number; readonly memory: number } | undefined;
  powerMilliwatts(): number | undefined;
  powerLimitMilliwatts(): number | undefined;
  /** Since the driver was loaded. */
  energyMillijoules(): number | undefined;
  memory(): { readonly usedBytes: number; readonly totalBytes: number } | undefined;
  temperatureCelsius(): number | undefined;
  smClockMegahertz(): number | undefined;
  /** Over the last 20 ms. */
  pcieKilobytesPerSecond(): { readonly transmit: number; readonly receive: number } | undefined;
  nvlink(): readonly NvLinkState[];
}

export interface XidEvent {
  /** Index of the device. */
  readonly index: number;
  /** NVIDIA's number: 79 fallen off the bus, 48 double-bit ECC, 31 page fault, … */
  readonly xid: number;
}

export interface Nvml {
  readonly driverVersion: string;
  devices(): readonly NvmlDevice[];
  /** Calls the listener for every critical XID until `close`. False where no device reports them. At most once per handle. */
  watchXid(listener: (event: XidEvent) => void): boolean;
  close(): void;
}

/**
 * Opens NVML. Works without CUDA and without a context: what an exporter beside an engine needs.
 *
 * @throws CudaError NVML_UNAVAILABLE with the reason: no addon, no driver, one too old
 */
export function openNvml({ library = defaultNvmlLibrary }: NvmlOptions = {}): Nvml {
  const loaded = loadCudaAddon();
  if (!loaded.isAvailable)
    throw new CudaError("NVML_UNAVAILABLE", `NVML is not available: ${loaded.reason}.`);
  const { Nvml: NativeNvml } = loaded.addon;
  const native = calling("NVML_FAILED", () => new NativeNvml(library));
  const ask = <Value>(call: () => Value): Value => calling("NVML_FAILED", call);
  const read = <Value>(index: number, figure: string): Value | undefined =>
    ask(() => native.read(index, figure) as Value | undefined);
  const devices: readonly NvmlDevice[] = Array.from({ length: ask(() => native.count()) }, (_, index) => ({
    index,
    ...ask(() => native.identity(index)),
    utilization: () => read(index, "utilization"),
    powerMilliwatts: () => read(index, "power"),
    powerLimitMilliwatts: () => read(index, "powerLimit"),
    energyMillijoules: () => read(index, "energy"),
    memory: () => read(index, "memory"),
    temperatureCelsius: () => read(index, "temperature"),
    smClockMegahertz: () => read(index, "smClock"),
    pcieKilobytesPerSecond: () => read(index, "pcie"),
    nvlink: () => ask(() => native.nvlink(index)),
  }));
  return {
    driverVersion: ask(() => native.driverVersion()),
    devices: () => devices,
    watchXid: (listener) => ask(() => native.watchXid((index, xid) => listener({ index, xid }))),
    close: () => ask(() => native.close()),
  };
}
