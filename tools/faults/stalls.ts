/** Looks for how long this process stands still: its clock, its proxies and its half of every session stand with it. */
export function watchStalls(): { stop(): number } {
  const everyMs = 20;
  let lastMs = performance.now();
  let longestMs = 0;
  const look = (): void => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs - everyMs);
    lastMs = nowMs;
  };
  const timer = setInterval(look, everyMs);
  return {
    stop() {
      look();
      clearInterval(timer);
      return Math.max(0, Math.round(longestMs));
    },
  };
}
