import { until, type ProcessRig } from "@stator/testing";

/** Waits until so many workers of the role take work: a fault must leave a healthy one. */
export async function untilEnough(
  rig: ProcessRig,
  least: number = 2,
  role: "decode" | "prefill" = "decode",
): Promise<void> {
  await until(
    `${least} ${role} workers take work`,
    () =>
      rig.workers.filter((w) => w.role === role && rig.handle(w.name)?.health.isSelectable === true).length >=
      least,
  );
}

/** What the workers still hold once the load has ended, after the length of a lease: KV blocks and offers. */
export async function heldAfter(rig: ProcessRig): Promise<{ readonly leaked: number }> {
  const endMs = performance.now() + 12_000;
  for (;;) {
    const states = await Promise.all(rig.workers.map(({ name }) => rig.command(name, "state")));
    const leaked = states.reduce((sum, s) => sum + Number(s["openOffers"]) + Number(s["usedBlocks"]), 0);
    if (leaked === 0 || performance.now() > endMs) return { leaked };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
