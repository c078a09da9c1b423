import { describe } from "../agent/descriptors.ts";
import type { Region } from "../agent/region.ts";
import type { TransferAgent } from "../agent/transfer-agent.ts";
import type { EpochTable } from "../transport/transport.ts";

/** A region as its owner sees it: within the call where its memory allows that, else by transfers. */
export interface RegionAccess {
  readonly id: number;
  readonly bytes: number;
  readonly epochs: EpochTable | undefined;
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  write(offset: number, source: Uint8Array): void | Promise<void>;
  deregister(): Promise<void>;
}

/** Objects of a store have no access within a call: their owner transfers to and from itself. */
export function accessOf(agent: TransferAgent, region: Region): RegionAccess {
  if (region.memory !== "object") return region;
  const move = async (operation: "read" | "write", offset: number, buffer: Uint8Array): Promise<void> => {
    const peer = agent.importMetadata(agent.exportMetadata({ regions: [region] }));
    const here = agent.register(buffer);
    try {
      await agent.transfer({
        operation,
        peer,
        local: describe(here, [{ offset: 0, bytes: buffer.byteLength }]),
        remote: describe(peer.region(region.id), [{ offset, bytes: buffer.byteLength }]),
      });
    } finally {
      await here.deregister();
    }
  };
  return {
    id: region.id,
    bytes: region.bytes,
    epochs: undefined,
    async read(offset, length) {
      const buffer = new Uint8Array(length);
      await move("read", offset, buffer);
      return buffer;
    },
    write: (offset, source) => move("write", offset, Uint8Array.from(source)),
    deregister: () => region.deregister(),
  };
}
