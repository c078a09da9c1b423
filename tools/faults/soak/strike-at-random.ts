import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ProcessRig, RigLoad } from "@stator/testing";
import { pause } from "../pause.ts";
import { untilEnough } from "../workers-left.ts";

/** What a fault of the soak may hurt. */
export interface SoakScene {
  readonly rig: ProcessRig;
  readonly random: () => number;
  /** The present load's requests. */
  readonly inFlight: () => ReturnType<RigLoad["inFlight"]>;
}

type SoakFault = (name: string, scene: SoakScene) => Promise<unknown>;

/** Hurts a worker with a command, and takes it back after a while. */
const forAWhile =
  (command: string, argument: string, backCommand: string, backArgument: string, ms: number): SoakFault =>
  async (name, { rig }) => {
    await rig.command(name, command, argument);
    await pause(ms);
    await rig.command(name, backCommand, backArgument);
  };
const signal =
  (what: NodeJS.Signals): SoakFault =>
  (name, { rig }) =>
    Promise.resolve(rig.process(name).signal(what));

/** Rows of the matrix that need neither a store nor a second router, by the name that the result counts them under. */
const faults: Readonly<Record<string, SoakFault>> = {
  kill: signal("SIGKILL"),
  killPrefill: signal("SIGKILL"),
  drain: signal("SIGTERM"),
  async stop(name, { rig }) {
    rig.process(name).signal("SIGSTOP");
    await pause(3_000);
    rig.process(name).signal("SIGCONT");
  },
  freeze: forAWhile("freeze", "", "thaw", "", 4_000),
  slow: forAWhile("slow", "10", "slow", "1", 8_000),
  clock: forAWhile("skew", "300000", "skew", "0", 8_000),
  outOfMemory: (name, { rig }) => rig.command(name, "devour"),
  async partition(name, { rig, random }) {
    rig.proxy(name).set({ isBlackhole: true }, random() < 0.5 ? "down" : undefined);
    await pause(2_000);
    rig.proxy(name).heal();
    rig.proxy(name).cut();
  },
  cut: (name, { rig }) => Promise.resolve(rig.proxy(name).cut()),
  async storeEmpty(_name, { rig }) {
    const folder = join(rig.folder, "default");
    for (const file of await readdir(folder))
      if (file.endsWith(".json")) await rm(join(folder, file), { force: true });
  },
  clientLeaves: (_name, { inFlight }) =>
    Promise.resolve(
      inFlight()
        .slice(0, 3)
        .forEach((request) => request.leave()),
    ),
};

/** One fault drawn at random, done with when this resolves; its name, or undefined when there was nobody to hurt. */
export async function strikeAtRandom(scene: SoakScene): Promise<string | undefined> {
  const { rig, random } = scene;
  const names = Object.keys(faults);
  const fault = names[Math.floor(random() * names.length)]!;
  await untilEnough(rig);
  const role = fault === "killPrefill" ? "prefill" : "decode";
  const ready = rig.workers.filter(
    (w) => w.role === role && rig.handle(w.name)?.health.isSelectable === true,
  );
  const name = ready[Math.floor(random() * ready.length)]?.name;
  if (name === undefined) return undefined;
  await faults[fault]!(name, scene);
  return fault;
}
