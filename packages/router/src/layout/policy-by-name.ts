import { routerError } from "../errors/router-error.ts";
import { dynamo04, type Dynamo04Options } from "../policies/dynamo04.ts";
import { kvAware, type KvAwareOptions } from "../policies/kv-aware.ts";
import { sessionAffinity, type SessionAffinityOptions } from "../policies/session-affinity.ts";
import { leastLoaded, powerOfTwo, random, roundRobin } from "../policies/simple-policies.ts";
import type { Policy } from "../selector/selector.ts";

type PolicyFactory = (options: Readonly<Record<string, unknown>>) => Policy;

const policies: Readonly<Record<string, PolicyFactory>> = {
  "kv-aware": (options) => kvAware(options as KvAwareOptions),
  "dynamo-0.4": (options) => dynamo04(options as Dynamo04Options),
  "session-affinity": (options) => sessionAffinity(options as SessionAffinityOptions),
  "least-loaded": () => leastLoaded(),
  "power-of-two": () => powerOfTwo(),
  "round-robin": () => roundRobin(),
  random: () => random(),
};

/** Names that a layout may give a pool's policy. */
export const policyNames: readonly string[] = Object.keys(policies);

/**
 * A built-in policy by its name in layouts and on command lines.
 *
 * @throws RouterError `ROUTER_OPTION_INVALID` that lists the names there are.
 */
export function policyByName(name: string, options: Readonly<Record<string, unknown>> = {}): Policy {
  const create = Object.hasOwn(policies, name) ? policies[name] : undefined;
  if (create === undefined) {
    throw routerError(
      "ROUTER_OPTION_INVALID",
      `There is no policy "${name}"; there are ${policyNames.join(", ")}.`,
    );
  }
  return create(options);
}
