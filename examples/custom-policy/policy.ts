import { lowest, type Policy } from "@stator/router";

/** Spot machines cost less: take them unless that costs the client more than 5 ms. */
export const preferSpot: Policy = ({ candidates }) =>
  lowest(candidates, (c) => c.costMs + (c.labels["spot"] === "true" ? 0 : 5));
