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
  const forecast = (own.decisions ?? []).map(
    ({ atMs, forecast: ahead }: ReplayDecision) => [atMs, ahead.requestsPerSecond] as const,
  );
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
    "goodput per GPU-hour",
    "ups",
    "downs",
    "TTFT mean",
    "p90",
    "ITL mean",
    "p90",
  ];
  const cells = rows.map((row) => [
    row.strategy,
    `${(row.sloAttainment * 100).toFixed(2)} %`,
    row.gpuHours.toFixed(3),
    row.goodputPerGpuHour.toFixed(0),
    row.scaleUps,
    row.scaleDowns,
    ...[row.meanTtftMs, row.p90TtftMs, row.meanItlMs, row.p90ItlMs].map((ms) => `${ms.toFixed(1)} ms`),
  ]);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title>
<style>body{font:14px system-ui;margin:2rem;max-width:${width}px}table{border-collapse:collapse}td,th{padding:.25rem .75rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}h2{font-size:1rem;margin:1.5rem 0 .25rem}svg{width:100%}</style>
<h1>${escape(title)}</h1>
<table><tr>${header.map((name) => `<th>${name}</th>`).join("")}</tr>${cells.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("")}</table>
${chart("Requests per second: load, and what was planned for", [
  { name: "load", colour: colours[0]!, points: rate },
  { name: "forecast", colour: colours[1]!, points: forecast },
])}
${chart("Workers by strategy", replicas)}
${chart("Workers by role (ours)", roles)}
${chart("Requests within the SLO, per cent", attainment)}
</html>
`;
}

function chart(title: string, lines: readonly Line[]): string {
  const all = lines.flatMap((line) => line.points);
  const end = Math.max(1, ...all.map(([atMs]) => atMs));
  const top = Math.max(1, ...all.map(([, value]) => value)) * 1.05;
  const x = (atMs: number): number => 40 + (atMs / end) * (width - 50);
  const y = (value: number): number => height - 20 - (value / top) * (height - 30);
  const path = (line: Line): string =>
    line.points
      .map(([atMs, value], i) => {
        const to = `${x(atMs).toFixed(1)},${y(value).toFixed(1)}`;
        if (i === 0) return `M${to}`;
        return line.isStepped === true ? `H${x(atMs).toFixed(1)}V${y(value).toFixed(1)}` : `L${to}`;
      })
      .join("");
  const ticks = [0, 0.5, 1].map((share) => share * top);
  return `<h2>${escape(title)}</h2><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">
${ticks.map((value) => `<line x1="40" x2="${width - 10}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/><text x="36" y="${y(value) + 4}" text-anchor="end" font-size="11">${value.toFixed(value < 10 ? 1 : 0)}</text>`).join("")}
${[0, 0.25, 0.5, 0.75, 1].map((share) => `<text x="${x(share * end)}" y="${height - 4}" text-anchor="middle" font-size="11">${Math.round((share * end) / 1000)} s</text>`).join("")}
${lines.map((line) => `<path d="${path(line)}" fill="none" stroke="${line.colour}" stroke-width="1.5"/>`).join("")}
${lines.map((line, i) => `<text x="${50 + i * 110}" y="14" font-size="12" fill="${line.colour}">${escape(line.name)}</text>`).join("")}
</svg>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
}
