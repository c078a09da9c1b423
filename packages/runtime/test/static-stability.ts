import { createRequest, defineEngine, type WorkerHandle } from "@stator/core";
import { createRuntime, type Discovery, type Runtime } from "@stator/runtime";
import { expect, test } from "vitest";
import type { ServerProcess } from "@stator/runtime/testing";
import { joined } from "./worker-processes.ts";

const echo = defineEngine(
  { model: "echo", contextTokens: 4096, tokenizer: { json: "{}", digest: "d", specialIds: { eos: [0] } } },
  async function* (request) {
    for (const id of request.promptIds) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield { ids: [id] };
    }
  },
);

/** Shorter leases than the defaults, so that an outage longer than one takes seconds. */
const deadlines = { registrationHeartbeatMs: 100, registrationTtlMs: 600 };

interface Fixture {
  readonly server: () => ServerProcess;
  readonly discovery: () => Discovery;
}

/** What must hold for every store that runs as a server: its loss costs freshness, never requests. */
export function staticStability(fixture: Fixture): void {
  const make = (): Promise<Runtime> => createRuntime({ discovery: fixture.discovery(), deadlines });

  const outages: Record<string, (server: ServerProcess) => Promise<void>> = {
    "is killed and comes back with its data": async (server) => {
      await server.stop();
      await outage();
      await server.start();
    },
    "is killed and comes back empty": async (server) => {
      await server.stop();
      await outage();
      await server.start("empty");
    },
    "is frozen": async (server) => {
      server.signal("SIGSTOP");
      await outage();
      server.signal("SIGCONT");
    },
    "comes and goes": async (server) => {
      for (let i = 0; i < 5; i++) {
        await server.stop();
        await server.start(i % 2 === 0 ? "empty" : "kept");
      }
    },
  };
  // Longer than a lease: whoever trusted the store would have lost everyone by now.
  const outage = (): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, 2 * deadlines.registrationTtlMs));

  for (const [name, happen] of Object.entries(outages)) {
    test(`the store ${name}: no request is lost, and registrations heal by themselves`, async () => {
      await using workers = await make();
      await using router = await make();
      await workers.serveEngine(echo, { role: "both", id: "w" });
      const source = router.workers();
      const handle = await joined(source, "w");
      let lost = 0;
      source.onChange(({ type }) => (lost += type === "left" ? 1 : 0));
      let isOver = false;
      let answers = 0;
      const load = (async () => {
        while (!isOver) {
          expect(await ask(handle)).toEqual([1, 2, 3]);
          answers += 1;
        }
      })();

      await happen(fixture.server());
      isOver = true;
      await load;
      expect(answers).toBeGreaterThan(0);
      expect(lost).toBe(0);
      expect(source.current()).toContain(handle);
      // Who looks only now finds it: the registration is back.
      await using late = await make();
      expect(await ask(await joined(late.workers(), "w"))).toEqual([1, 2, 3]);
    });
  }

  test("a lost store shows as store_up 0 until it is back", async () => {
    const values: number[] = [];
    const set = (value: number): void => void values.push(value);
    const family = { labels: () => ({ set, add: set, observe: set }), remove: () => {} };
    const metrics = { counter: () => family, gauge: () => family, histogram: () => family };
    await using router = await createRuntime({ discovery: fixture.discovery(), deadlines, metrics });
    router.workers();
    await fixture.server().stop();
    await expect.poll(() => values.at(-1), { timeout: 30_000 }).toBe(0);
    await fixture.server().start();
    await expect.poll(() => values.at(-1), { timeout: 30_000 }).toBe(1);
  });

  const absences: Record<
    string,
    readonly [(server: ServerProcess) => unknown, (server: ServerProcess) => unknown]
  > = {
    gone: [(server) => server.stop(), (server) => server.start()],
    frozen: [(server) => server.signal("SIGSTOP"), (server) => server.signal("SIGCONT")],
  };
  for (const [name, [vanish, come]] of Object.entries(absences)) {
    test(`nothing hangs while the store is ${name}, and a worker that starts then is found later`, async () => {
      await using router = await make();
      const source = router.workers();
      await vanish(fixture.server());
      await using workers = await make();
      await workers.serveEngine(echo, { role: "both", id: `early-${name}` });
      await come(fixture.server());
      expect(await ask(await joined(source, `early-${name}`))).toEqual([1, 2, 3]);
    });
  }
}

async function ask({ engine }: WorkerHandle): Promise<number[]> {
  const request = createRequest({ id: "r", model: "echo", promptIds: Uint32Array.of(1, 2, 3) });
  const ids: number[] = [];
  for await (const batch of engine.generate(request, { signal: new AbortController().signal }))
    ids.push(...batch.ids);
  return ids;
}
