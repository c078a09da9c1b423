import type { Engine } from "./engine.ts";

/**
 * `inner` with some members replaced: every optional member that is not overridden is forwarded, and `card` stays live.
 *
 * @example
 * const logged = wrapEngine(engine, {
 *   generate(request, options) { console.log(request.id); return engine.generate(request, options); },
 * });
 */
export function wrapEngine<Inner extends Engine>(inner: Inner, overrides: Partial<Engine>): Engine {
  const wrapped: Engine = {
    get card() {
      return inner.card;
    },
    generate: (request, options) => inner.generate(request, options),
  };
  if (inner.estimate) wrapped.estimate = inner.estimate.bind(inner);
  if (inner.onStatus) wrapped.onStatus = inner.onStatus.bind(inner);
  if (inner.artifact) wrapped.artifact = inner.artifact.bind(inner);
  if (inner.snapshot) wrapped.snapshot = inner.snapshot.bind(inner);
  if (inner.renewHandoff) wrapped.renewHandoff = inner.renewHandoff.bind(inner);
  if (inner.releaseHandoff) wrapped.releaseHandoff = inner.releaseHandoff.bind(inner);
  return Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(overrides));
}
