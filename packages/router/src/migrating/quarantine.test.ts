import { createRequest, createVirtualClock } from "@stator/core";
import { expect, it } from "vitest";
import { createQuarantine, type Suspect } from "./quarantine.ts";

/** Three deaths, far apart, each with the request as the only suspect there. Returns whether it was blocked for them. */
function threeDeaths(tokens: readonly [number, number, number]): boolean {
  const clock = createVirtualClock();
  const quarantine = createQuarantine({ clock, quarantineMs: 600_000 });
  const suspect: Suspect = quarantine.suspect(
    createRequest({ id: "r", model: "m", promptIds: Uint32Array.of(1, 2, 3) }),
  );
  return tokens
    .map((at, i) => {
      clock.advance(5_000);
      const life = { worker: `w${i}`, epoch: "1" };
      suspect.placed(life);
      const isBlocked = suspect.died(life, at);
      suspect.cleared();
      return isBlocked;
    })
    .includes(true);
}

it("a request that dies with its worker at the same token each time is a poison", () => {
  expect(threeDeaths([0, 0, 0])).toBe(true);
  expect(threeDeaths([7, 7, 7])).toBe(true);
});

it("a request that came further each time only was where workers were killed", () => {
  expect(threeDeaths([3, 9, 15])).toBe(false);
});

it("lives that ended with a poison are known once it is blocked, others are not", () => {
  const clock = createVirtualClock();
  const quarantine = createQuarantine({ clock, quarantineMs: 600_000 });
  const suspect = quarantine.suspect(
    createRequest({ id: "r", model: "m", promptIds: Uint32Array.of(1, 2, 3) }),
  );
  const lives = [0, 1, 2].map((i) => ({ worker: `w${i}`, epoch: "1" }));
  for (const life of lives) {
    clock.advance(5_000);
    suspect.placed(life);
    expect(quarantine.hasPoisoned(life)).toBe(false);
    suspect.died(life);
    suspect.cleared();
  }
  expect(lives.map(quarantine.hasPoisoned)).toEqual([true, true, true]);
  expect(quarantine.hasPoisoned({ worker: "w0", epoch: "2" })).toBe(false);
});
