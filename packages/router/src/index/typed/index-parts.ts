import { createSharedControl, type SharedControl } from "../shared-index.ts";
import { createHoleRegister, type HoleRegister } from "./hole-register.ts";
import { IndexMemory } from "./index-memory.ts";
import { ResidencyNodes } from "./residency-nodes.ts";
import { ResidencyTable } from "./residency-table.ts";

/** What an index keeps its blocks in. */
export interface IndexParts {
  readonly memory: IndexMemory;
  readonly control: SharedControl | undefined;
  readonly nodes: ResidencyNodes;
  readonly table: ResidencyTable;
  readonly hostTable: ResidencyTable;
  readonly diskTable: ResidencyTable;
  readonly holes: HoleRegister;
}

export function openParts(maxBytes: number, isShared: boolean): IndexParts {
  const memory = new IndexMemory(maxBytes, isShared);
  const control = isShared ? createSharedControl(memory.blocks) : undefined;
  const nodes = new ResidencyNodes(memory);
  return {
    memory,
    control,
    nodes,
    table: new ResidencyTable(memory, control),
    hostTable: new ResidencyTable(memory),
    diskTable: new ResidencyTable(memory),
    holes: createHoleRegister(nodes),
  };
}
