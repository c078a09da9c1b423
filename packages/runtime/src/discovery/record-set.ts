import { equals } from "@bufbuild/protobuf";
import { RegistrationSchema, type Registration } from "@stator/contracts";
import type { DiscoveryChange } from "./discovery.ts";

/** What a store knows now, and who wants to know: makes sightings of records into changes, each told once. */
export interface RecordSet {
  see(record: Registration): void;
  /** Gone, unless another life has the id by now. */
  lose(id: string, epoch?: string): void;
  get(id: string): Registration | undefined;
  readonly ids: readonly string[];
  watch(listener: (change: DiscoveryChange) => void): () => void;
  clear(): void;
}

export function createRecordSet(): RecordSet {
  const records = new Map<string, Registration>();
  const listeners = new Set<(change: DiscoveryChange) => void>();
  const tell = (change: DiscoveryChange): void => {
    for (const listener of [...listeners]) listener(change);
  };
  return {
    see(record) {
      const known = records.get(record.id);
      if (known !== undefined && equals(RegistrationSchema, known, record)) return;
      records.set(record.id, record);
      tell({ type: "put", record });
    },
    lose(id, epoch) {
      const known = records.get(id);
      if (known === undefined || (epoch !== undefined && known.epoch !== epoch)) return;
      records.delete(id);
      tell({ type: "removed", id, epoch: known.epoch });
    },
    get: (id) => records.get(id),
    get ids() {
      return [...records.keys()];
    },
    watch(listener) {
      listeners.add(listener);
      for (const record of records.values()) listener({ type: "put", record });
      return () => listeners.delete(listener);
    },
    clear() {
      listeners.clear();
      records.clear();
    },
  };
}
