import { parseExposition } from "../gpu/parse-exposition.ts";

/** Samples of a text exposition by `name{labels}`, labels sorted by name. */
export function seriesOf(text: string): Map<string, number> {
  return new Map(
    parseExposition(text).map(({ name, labels, value }) => {
      const inner = [...labels].map(([key, v]) => `${key}="${v}"`).sort();
      return [inner.length === 0 ? name : `${name}{${inner.join(",")}}`, value];
    }),
  );
}
