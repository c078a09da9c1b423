import { createTransferEnds, loopback, tcp, type TransferEnds } from "@stator/kv-transfer";
import { createFaultProxy, noteToRig, type FaultProxy } from "@stator/testing";
import type { WorkerConfig } from "./worker-config.ts";

type Tcp = ReturnType<typeof tcp>;

/** The KV transfer of a worker of the rig: tells of fetches, counts what is held for others, and can be hurt in mid-transfer. */
export interface WorkerTransfer extends Pick<TransferEnds, "source" | "sink" | "close"> {
  readonly openOffers: number;
  /** `kill 0.5`: at half of the next offer's bytes this process dies; `cut` resets its connections, `flip` flips a bit. */
  hurtNext(what: string): void;
}

/** TCP whose peers come through a fault proxy of this process. */
function proxiedTcp(onProxy: (proxy: FaultProxy) => void): Tcp {
  const inner = tcp();
  return {
    ...inner,
    async open(host) {
      const open = await inner.open(host);
      const info = Buffer.from(open.connectionInfo());
      // The address begins with the host, as its length and its text; the port follows.
      const at = 4 + info.readUInt32LE(0);
      const proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: info.readUInt32LE(at) } });
      onProxy(proxy);
      info.writeUInt32LE(proxy.port, at);
      return {
        ...open,
        connectionInfo: () => info,
        async close() {
          await proxy.close();
          await open.close();
        },
      };
    },
  };
}

export async function createWorkerTransfer(
  config: Pick<WorkerConfig, "isTcp" | "holdFetchMs">,
): Promise<WorkerTransfer> {
  let proxy: FaultProxy | undefined;
  const ends = await createTransferEnds(
    config.isTcp ? { transports: [loopback(), proxiedTcp((made) => (proxy = made))] } : {},
  );
  let openOffers = 0;
  let armed: { readonly fault: string; readonly share: number } | undefined;

  const strike = (fault: string): void => {
    noteToRig({ type: "struck", fault });
    if (fault === "kill") process.kill(process.pid, "SIGKILL");
    else if (fault === "cut") proxy?.cut();
    else proxy?.flip(0);
  };

  return {
    get openOffers() {
      return openOffers;
    },
    hurtNext(what) {
      const [fault = "", share] = what.split(" ");
      armed = { fault, share: Number(share) };
    },
    source: {
      async offer(options) {
        if (armed !== undefined) {
          const { fault, share } = armed;
          armed = undefined;
          const bytes = options.blocks.reduce((sum, block) => sum + block.bytes.length, 0);
          proxy?.at(Math.floor(bytes * share), () => strike(fault));
        }
        const offer = await ends.source.offer(options);
        openOffers += 1;
        void offer.ended.then(() => (openOffers -= 1));
        return offer;
      },
    },
    sink: {
      ...ends.sink,
      async fetch(opaque, options) {
        noteToRig({ type: "fetching" });
        if (config.holdFetchMs > 0) await new Promise((resolve) => setTimeout(resolve, config.holdFetchMs));
        try {
          const blocks = await ends.sink.fetch(opaque, options);
          noteToRig({ type: "fetched" });
          return blocks;
        } catch (error) {
          noteToRig({ type: "fetchFailed", error: String(error) });
          throw error;
        }
      },
    },
    close: () => ends.close(),
  };
}
