import type { Inputs } from "../../inputs.ts";

/** What every group of controls is given. */
export interface ControlsProps {
  readonly inputs: Inputs;
  readonly change: (values: Partial<Inputs>) => void;
}
