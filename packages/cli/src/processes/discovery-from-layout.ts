import { CoreError } from "@stator/core";
import { fileDiscovery, memoryDiscovery, type Discovery } from "@stator/runtime";

/** The discovery that a layout's `planes.discovery` or `--discovery` names. */
export async function discoveryFrom(address: string): Promise<Discovery> {
  if (address === "memory") return memoryDiscovery();
  if (address === "file") return fileDiscovery();
  if (address.startsWith("file:")) return fileDiscovery({ dir: address.slice("file:".length) });
  if (/^rediss?:\/\//.test(address))
    return (await import("@stator/runtime/redis")).redisDiscovery({ url: address });
  if (/^(nats|tls):\/\//.test(address))
    return (await import("@stator/runtime/nats")).natsDiscovery({ servers: address });
  throw new CoreError({
    code: "CORE_OPTION_INVALID",
    kind: "invalid",
    message: `discovery is "${address}"; give memory, file, file:FOLDER, redis://… or nats://….`,
  });
}
