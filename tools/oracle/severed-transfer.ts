import { createLoopback, EnginesError, type Transfer } from "@stator/engines/simulated";
import type { Clock } from "@stator/core";

/** A transfer between engines of this process that can be cut in the middle. */
export interface SeveredTransfer extends Transfer {
  /** Cuts the transfer after `skip` more good ones: it fails after `blocks` blocks, or hangs there for ever. */
  cut(skip: number, blocks: number, how: "fails" | "hangs"): void;
  readonly cuts: number;
}

export function createSeveredTransfer(clock: Clock): SeveredTransfer {
  const inner = createLoopback({ clock });
  let plan: { skip: number; readonly blocks: number; readonly how: "fails" | "hangs" } | undefined;
  let cuts = 0;

  return {
    source: inner.source,
    sink: {
      async fetch(opaque, options) {
        if (plan === undefined || plan.skip-- > 0) return inner.sink.fetch(opaque, options);
        const { blocks, how } = plan;
        plan = undefined;
        cuts += 1;
        let asked = 0;
        // The first blocks do arrive; all or nothing is the receiver's promise.
        await inner.sink.fetch(opaque, {
          ...options,
          lacks: (index, key) => options.lacks(index, key) && asked++ < blocks,
        });
        if (how === "hangs")
          await new Promise<void>((_resolve, reject) =>
            options.signal.addEventListener("abort", () => reject(options.signal.reason as Error)),
          );
        throw new EnginesError({
          code: "ENGINES_HANDOFF_FAILED",
          kind: "unavailable",
          message: `The transfer broke after ${blocks} blocks.`,
        });
      },
    },
    cut(skip, blocks, how) {
      plan = { skip, blocks, how };
    },
    get cuts() {
      return cuts;
    },
  };
}
