/**
 * Mean response time of one queueing station in a closed loop, by approximate mean-value analysis (Schweitzer 1979):
 * `clients` circulate between the station and `thinkMs` elsewhere; alone a visit takes `aloneMs`, each visitor found
 * there adds `serviceMs`.
 */
export function closedLoopResponseMs(
  clients: number,
  aloneMs: number,
  serviceMs: number,
  thinkMs: number,
): number {
  if (clients <= 1) return aloneMs;
  let response = aloneMs;
  for (let round = 0; round < 60; round++) {
    const found = ((clients - 1) / (response + thinkMs)) * response;
    const next = Math.min(aloneMs + serviceMs * found, aloneMs + clients * serviceMs);
    if (Math.abs(next - response) < 1e-3 * response) return next;
    response = (response + next) / 2;
  }
  return response;
}

/** Mean wait before service for Poisson arrivals and near-constant service (M/D/1), infinity at or past full load. */
export function poissonWaitMs(arrivalsPerSecond: number, serviceMs: number): number {
  const load = (arrivalsPerSecond * serviceMs) / 1000;
  return load >= 1 ? Infinity : (load * serviceMs) / (2 * (1 - load));
}
