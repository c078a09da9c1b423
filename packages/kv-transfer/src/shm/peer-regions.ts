import type { RemoteAgent, RemoteMemory } from "../transport/transport.ts";

/** A peer's region that is open here: closed once it is dropped and no transfer uses it. */
export interface PeerRegion {
  uses: number;
  isDropped: boolean;
  close(): void;
}

/** Peers' regions, each opened once, and closed when nobody uses it any more. */
export interface PeerRegions<Region extends PeerRegion> {
  open(peer: RemoteAgent, id: number): Region;
  /** A transfer has let go of it. */
  release(region: Region): void;
  /** One region of a peer, or all of it. */
  drop(peer: RemoteAgent, memory: RemoteMemory | undefined): void;
  dropAll(): void;
}

export function createPeerRegions<Region extends PeerRegion>(
  openAnew: (peer: RemoteAgent, id: number) => Region,
): PeerRegions<Region> {
  const opened = new Map<string, Region>();
  const release = (region: Region): void => {
    if (region.isDropped && region.uses === 0) region.close();
  };
  const dropWhere = (matches: (key: string) => boolean): void => {
    for (const [key, region] of opened) {
      if (!matches(key)) continue;
      opened.delete(key);
      region.isDropped = true;
      release(region);
    }
  };
  return {
    open(peer, id) {
      const key = `${peer.incarnation}/${id}`;
      let region = opened.get(key);
      if (region === undefined) opened.set(key, (region = openAnew(peer, id)));
      return region;
    },
    release,
    drop(peer, memory) {
      const name = `${peer.incarnation}/${memory?.id ?? ""}`;
      dropWhere(memory === undefined ? (key) => key.startsWith(name) : (key) => key === name);
    },
    dropAll: () => dropWhere(() => true),
  };
}
