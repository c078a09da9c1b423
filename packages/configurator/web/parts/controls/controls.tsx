import type { ControlsProps } from "./controls-props.ts";
import { HardwareControls } from "./hardware-controls.tsx";
import { LevelControls } from "./level-controls.tsx";
import { LoadControls } from "./load-controls.tsx";
import { ModelControls } from "./model-controls.tsx";
import { RequestControls } from "./request-controls.tsx";
import { SplitControls } from "./split-controls.tsx";

/** What can be set for the task at hand. */
export function Controls(props: ControlsProps) {
  const { task } = props.inputs;
  return (
    <form class="panel controls" onSubmit={(event) => event.preventDefault()}>
      <ModelControls {...props} />
      <HardwareControls {...props} />
      {task === "recommend" && <LoadControls {...props} />}
      {task === "estimate" && <SplitControls {...props} />}
      <RequestControls {...props} />
      {task !== "estimate" && <LevelControls {...props} />}
    </form>
  );
}
