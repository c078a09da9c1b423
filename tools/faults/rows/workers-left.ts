import { until, type ProcessRig } from "@stator/testing";

/** Waits until so many decode workers take work: a fault must leave a healthy one. */
export async function untilEnough(rig: ProcessRig, least: number = 2): Promise<void> {
  await until(
    `${least} decode workers take work`,
    () =>
      rig.workers.filter(
        ({ name, role }) => role === "decode" && rig.handle(name)?.health.isSelectable === true,
      ).length >= least,
  );
}
