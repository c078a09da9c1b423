import type { Discovery, DiscoveryChange } from "@stator/runtime";

import { createFaultProxy, type FaultProxy } from "../faults/fault-proxy.ts";

/** A store whose records lead through a fault proxy each. */
export interface ProxiedDiscovery extends AsyncDisposable {
  readonly discovery: Discovery;
  /** The proxy in front of a worker's present life; undefined until it is known. */
  proxy(worker: string): FaultProxy | undefined;
  close(): Promise<void>;
}

/** For the caller's side: every worker that the inner store tells of is reached through a proxy of its own. */
export function proxiedDiscovery(inner: Discovery): ProxiedDiscovery {
  const proxies = new Map<string, { readonly address: string; readonly proxy: Promise<FaultProxy> }>();
  const open = new Map<string, FaultProxy>();

  const through = async (id: string, address: string): Promise<string> => {
    const url = new URL(address);
    let known = proxies.get(id);
    if (known?.address !== address) {
      void known?.proxy.then((proxy) => proxy.close());
      const proxy = createFaultProxy({ target: { host: url.hostname, port: Number(url.port) } });
      known = { address, proxy };
      proxies.set(id, known);
    }
    const proxy = await known.proxy;
    open.set(id, proxy);
    url.port = String(proxy.port);
    return url.href.replace(/\/$/, "");
  };

  return {
    discovery: {
      name: `proxied ${inner.name}`,
      isLocal: inner.isLocal,
      async open(context) {
        const store = await inner.open(context);
        return {
          ...store,
          watch(listener) {
            let queue = Promise.resolve();
            let isOver = false;
            const tell = async (change: DiscoveryChange): Promise<void> => {
              if (change.type === "removed" || change.record.address === "") {
                if (!isOver) listener(change);
                return;
              }
              const address = await through(change.record.id, change.record.address);
              if (!isOver) listener({ type: "put", record: { ...change.record, address } });
            };
            const stop = store.watch((change) => void (queue = queue.then(() => tell(change))));
            return () => {
              isOver = true;
              stop();
            };
          },
        };
      },
    },
    proxy: (worker) => open.get(worker),
    async close() {
      await Promise.all([...proxies.values()].map(async ({ proxy }) => (await proxy).close()));
    },
    async [Symbol.asyncDispose]() {
      await this.close();
    },
  };
}
