import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The collector, whether or not the process was started with it. */
export function collectGarbage(): void {
  setFlagsFromString("--expose_gc");
  (runInNewContext("gc") as () => void)();
}
