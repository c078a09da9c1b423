import type { PlannerReplayRow, ReplayDecision } from "./planner-replay.ts";

const width = 960;
const height = 200;
const colours = ["#2a78d6", "#e3642f", "#3a9a5b", "#8a57c7", "#777777"];

interface Line {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [atMs: number, value: number])[];
  readonly isStepped?: boolean;
}

/** One self-contained HTML page: load and forecast, replicas and SLO over time, and the table of strategies. */
export function plannerReport(rows: readonly PlannerReplayRow[], title: string): string {
  const own = rows.find((row) => row.strategy === "ours") ?? rows[0];
  if (own === undefined) return "<!doctype html><title>nothing was run</title>";
  const rate = own.timeline.map(
    ({ atMs, interval }) =>
      [atMs - interval.durationMs / 2, (interval.requests / interval.durationMs) * 1000] as const,
  );
  const ahead = (of: (forecast: ReplayDecision["forecast"]) => number): Line["points"] =>
    (own.decisions ?? []).map(({ atMs, forecast }) => [atMs, of(forecast)] as const);
  const replicas = rows.map((row, i): Line => ({
    name: row.strategy,
    colour: colours[i % colours.length]!,
    isStepped: true,
    points: row.timeline.map(({ atMs, target }) => [atMs, target.prefill + target.decode]),
  }));
  const attainment = rows.map((row, i): Line => ({
    name: row.strategy,
    colour: colours[i % colours.length]!,
    points: row.timeline.map((moment) => [moment.atMs, moment.attainment * 100]),
  }));
  const roles: Line[] = (["prefill", "decode"] as const).map((role, i) => ({
    name: role,
    colour: colours[i]!,
    isStepped: true,
    points: own.timeline.map(({ atMs, target }) => [atMs, target[role]]),
  }));
  const header = [
    "strategy",
    "SLO attainment",
    "GPU-hours",
    "goodput/GPU-h",
    "ups",
    "downs",
    "TTFT ms",
    "p90",
    "ITL ms",
    "p90",
  ];
  const cells = rows.map((row) => [
    row.strategy,
    `${(row.sloAttainment * 100).toFixed(2)} %`,
    row.gpuHours.toFixed(3),
    row.goodputPerGpuHour.toFixed(0),
    row.scaleUps,
    row.scaleDowns,
    row.meanTtftMs.toFixed(0),
    row.p90TtftMs.toFixed(0),
    row.meanItlMs.toFixed(2),
    row.p90ItlMs.toFixed(2),
  ]);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title>
<style>body{font:14px system-ui;margin:2rem;max-width:${width}px}table{border-collapse:collapse}td,th{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:right}td,th:not(:first-child){white-space:nowrap}td:first-child,th:first-child{text-align:left}.wide{overflow-x:auto}h2{font-size:1rem;margin:1.5rem 0 .25rem}svg{width:100%;min-width:36rem}@media(max-width:600px){body{margin:1rem}h1{font-size:1.25rem}}</style>
<h1>${escape(title)}</h1>
<div class="wide"><table><tr>${header.map((name) => `<th>${name}</th>`).join("")}</tr>${cells.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("")}</table></div>
${chart("Requests per second: load, and what was planned for", [
  { name: "load", colour: colours[0]!, points: rate },
  { name: "expected", colour: colours[2]!, points: ahead((forecast) => forecast.requestsPerSecond) },
  { name: "planned for", colour: colours[1]!, points: ahead((forecast) => forecast.requestsPerSecondUpper) },
])}
${chart("Workers by strategy", replicas)}
${chart("Workers by role (ours)", roles)}
${chart("Requests within the SLO, per cent", attainment, 100)}
</html>
`;
}

/** @param most the axis' end, where it is known; else a round number that all values fit below */
function chart(title: string, lines: readonly Line[], most?: number): string {
  const all = lines.flatMap((line) => line.points);
  const end = Math.max(1, ...all.map(([atMs]) => atMs));
  const step = roundStep((most ?? Math.max(1, ...all.map(([, value]) => value))) / 4);
  const top = most ?? step * Math.ceil(Math.max(1, ...all.map(([, value]) => value)) / step);
  const x = (atMs: number): number => 40 + (atMs / end) * (width - 60);
  const y = (value: number): number => height - 20 - (value / top) * (height - 46);
  const path = (line: Line): string =>
    line.points
      .map(([atMs, value], i) => {
        const to = `${x(atMs).toFixed(1)},${y(value).toFixed(1)}`;
        if (i === 0) return `M${to}`;
        return line.isStepped === true ? `H${x(atMs).toFixed(1)}V${y(value).toFixed(1)}` : `L${to}`;
      })
      .join("");
  const ticks: number[] = [];
  for (let tick = 0; tick <= top + 1e-9; tick += step) ticks.push(tick);
  return `<h2>${escape(title)}</h2><div class="wide"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">
${ticks.map((value) => `<line x1="40" x2="${width - 20}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/><text x="36" y="${y(value) + 4}" text-anchor="end" font-size="11">${Number(value.toFixed(2))}</text>`).join("")}
${[0, 0.25, 0.5, 0.75, 1].map((share) => `<text x="${x(share * end)}" y="${height - 4}" text-anchor="middle" font-size="11">${Math.round((share * end) / 1000)} s</text>`).join("")}
${lines.map((line) => `<path d="${path(line)}" fill="none" stroke="${line.colour}" stroke-width="1.5"/>`).join("")}
${lines.map((line, i) => `<text x="${50 + i * 110}" y="14" font-size="12" fill="${line.colour}">${escape(line.name)}</text>`).join("")}
</svg></div>`;
}

/** The smallest of 1, 2 and 5 times a power of ten that is not below. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((one) => one * power >= least - 1e-9) ?? 10);
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
}
