/**
 * Which share of a process's own work happens in the code of given folders, by samples of its stacks: a ratio inside one
 * run, which other programs on the machine do not move.
 */
import { Session, type Profiler } from "node:inspector/promises";

export interface SampledShare {
  /** Per cent of the working samples (idle ones left out) whose nearest frame of a package is in such a folder. */
  readonly percent: number;
  /** Working samples. */
  readonly samples: number;
}

/** A frame of one of our packages, or of one that they install: what a sample is counted for. */
const packageFrame = /\/(?:packages|node_modules)\//;

/**
 * Samples the stack of this thread every 200 µs while `work` runs. Built-in functions count for the package that called
 * them; so a wrapper is charged with its own steps, not with those of what it wraps.
 */
export async function sampledShare(folders: RegExp, work: () => Promise<void>): Promise<SampledShare> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: 200 });
    await session.post("Profiler.start");
    await work();
    const { profile } = await session.post("Profiler.stop");
    return shareOf(profile, folders);
  } finally {
    session.disconnect();
  }
}

function shareOf(profile: Profiler.Profile, folders: RegExp): SampledShare {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const node of profile.nodes) for (const child of node.children ?? []) parents.set(child, node.id);
  const isCounted = new Map<number, boolean>();
  for (const { id } of profile.nodes) {
    let at: number | undefined = id;
    while (at !== undefined && !packageFrame.test(nodes.get(at)?.callFrame.url ?? "")) at = parents.get(at);
    isCounted.set(id, at !== undefined && folders.test(nodes.get(at)?.callFrame.url ?? ""));
  }
  let samples = 0;
  let counted = 0;
  for (const id of profile.samples ?? []) {
    if (nodes.get(id)?.callFrame.functionName === "(idle)") continue;
    samples++;
    if (isCounted.get(id) === true) counted++;
  }
  return { percent: Number(((100 * counted) / Math.max(1, samples)).toFixed(2)), samples };
}
