/**
 * Probability that an arrival waits in M/M/n (Erlang C), by the stable recurrence of Erlang B.
 *
 * @param offered arrival rate times service time, in servers
 */
export function erlangC(servers: number, offered: number): number {
  if (offered <= 0) return 0;
  if (offered >= servers) return 1;
  let blocked = 1;
  for (let k = 1; k <= servers; k++) blocked = (offered * blocked) / (k + offered * blocked);
  const utilisation = offered / servers;
  return blocked / (1 - utilisation * (1 - blocked));
}

/**
 * Waiting time that the given share of arrivals stays within, for n servers before one queue. Poisson arrivals; the tail
 * is exponential, scaled by Allen and Cunneen's (1 + cs²) / 2 for service times that vary less than exponential ones.
 *
 * @param serviceMs mean service time
 * @param serviceVariation squared coefficient of variation of service times; 0 is constant
 * @param share 0 to 1
 * @returns milliseconds; Infinity when the queue would grow without end
 */
export function waitQuantileMs(
  servers: number,
  ratePerSecond: number,
  serviceMs: number,
  serviceVariation: number,
  share: number,
): number {
  const offered = (ratePerSecond * serviceMs) / 1000;
  if (offered >= servers) return Number.POSITIVE_INFINITY;
  const waits = erlangC(servers, offered);
  const over = 1 - share;
  if (waits <= over) return 0;
  const meanExcessMs = (serviceMs / (servers - offered)) * ((1 + serviceVariation) / 2);
  return Math.log(waits / over) * meanExcessMs;
}
