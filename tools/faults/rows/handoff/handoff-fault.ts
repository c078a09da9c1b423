import { until, type RigNote, type TimedNote } from "@stator/testing";
import { heldAfter, untilEnough } from "../../workers-left.ts";
import type { RowContext, RowResult } from "../../row.ts";
import { trial, type TrialOptions } from "../../trial.ts";

export interface HandoffFault {
  /** When the fault strikes: at this note of a worker of this role. */
  readonly at: RigNote["type"];
  readonly of: "prefill" | "decode";
  /** Who is killed. */
  readonly victim: "prefill" | "decode";
  readonly options?: TrialOptions;
  /** Waited after the note, in ms, drawn from 0 to this. */
  readonly afterMs?: number;
}

/** A worker dies at a point of the way of KV from prefill to decode; afterwards nothing may be held for anyone. */
export function handoffFault(context: RowContext, fault: HandoffFault): Promise<RowResult> {
  const { profile, random } = context;
  return trial(context, fault.options ?? {}, async ({ rig, notes, load, settled }) => {
    const recoveries: Promise<number>[] = [];
    const ttftMs: number[] = [];
    let confirmed = 0;
    let afterBytes = 0;
    for (let i = 0; i < profile.faults; i++) {
      await settled();
      await untilEnough(rig, 2);
      await untilEnough(rig, 1, "prefill");
      const from = notes.length;
      let seen: TimedNote | undefined;
      await until(`a ${fault.of} worker notes ${fault.at}`, () => {
        seen = notes.slice(from).find(({ worker, note }) => worker.startsWith(fault.of) && isIt(note, fault));
        return seen !== undefined;
      });
      if (fault.afterMs !== undefined)
        await new Promise((resolve) => setTimeout(resolve, random() * fault.afterMs!));
      const victim = fault.victim === fault.of ? seen!.worker : (prefillOf(load.inFlight()) ?? "prefill-0");
      const handle = rig.handle(victim);
      if (handle === undefined) continue;
      const running = load.inFlight();
      const struckMs = performance.now();
      rig.process(victim).signal("SIGKILL");
      await rig.unselectable(handle);
      confirmed += 1;
      recoveries.push(rig.selectable(victim, handle.worker.epoch).then((atMs) => atMs - struckMs));
      for (const { firstTokenMs, sentMs } of running)
        if (firstTokenMs !== undefined && firstTokenMs > struckMs) ttftMs.push(firstTokenMs - sentMs);
      afterBytes += notes.slice(from).filter(({ note }) => note.type === "fetchFailed").length;
    }
    const failed = afterBytes;
    return {
      faults: profile.faults,
      confirmed,
      recoveryMs: await Promise.all(recoveries),
      more: {
        failedFetches: failed,
        ...(ttftMs.length === 0 ? {} : { slowestTtftMs: Math.round(Math.max(...ttftMs)) }),
      },
      after: () => heldAfter(rig),
    };
  });
}

function isIt(note: RigNote, { at, of }: HandoffFault): boolean {
  if (note.type !== at) return false;
  return note.type !== "started" || of !== "prefill" || note.mode === "prefill";
}

/** The prefill worker of a request that has no token yet, or just got its first. */
function prefillOf(
  running: ReturnType<Parameters<Parameters<typeof trial>[2]>[0]["load"]["inFlight"]>,
): string | undefined {
  for (const { events } of [...running].reverse()) {
    const routed = events.findLast((event) => event.type === "routed" && event.phase === "prefill");
    if (routed?.type === "routed") return routed.worker;
  }
  return undefined;
}
