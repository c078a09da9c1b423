import type { Link, SpanContext } from "@opentelemetry/api";
import type { GenerateRequest } from "@stator/core";

/** Attempts of running choices that were given up, so that the next one links to them. */
export interface FailedAttempts {
  add(request: GenerateRequest, span: SpanContext): void;
  links(request: GenerateRequest): Link[];
  /** The choice is over. */
  forget(request: GenerateRequest): void;
}

/** Choices remembered at once; the oldest are dropped, should nobody forget them. */
const mostChoices = 10_000;

export function createFailedAttempts(): FailedAttempts {
  const byChoice = new Map<string, SpanContext[]>();
  const keyOf = ({ id, choice }: GenerateRequest): string => `${id}/${choice}`;
  return {
    add(request, span) {
      const key = keyOf(request);
      byChoice.set(key, [...(byChoice.get(key) ?? []), span]);
      if (byChoice.size > mostChoices) byChoice.delete(byChoice.keys().next().value as string);
    },
    links: (request) =>
      (byChoice.get(keyOf(request)) ?? []).map((context) => ({
        context,
        attributes: { "stator.link": "failed_attempt" },
      })),
    forget: (request) => void byChoice.delete(keyOf(request)),
  };
}
