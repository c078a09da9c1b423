import type { Profile } from "@stator/planner";

const width = 720;
const height = 320;
const colours = ["#2a78d6", "#e3642f", "#3a9a5b", "#8a57c7", "#b58a00", "#c2477f", "#008f95", "#777777"];

type Points = readonly (readonly [x: number, y: number])[];

/** TTFT over input length and ITL over KV usage, a line for each context, as one HTML page. */
export function profilePage(profile: Profile): string {
  const contexts = [...new Set(profile.decode.points.map((point) => point.contextTokens))].sort(
    (a, b) => a - b,
  );
  const ttft: Points = profile.prefill.points.map((point) => [point.inputTokens, point.ttftMs]);
  const itl = contexts.map((context): Points =>
    profile.decode.points
      .filter((point) => point.contextTokens === context)
      .map((point) => [point.kvUsage * 100, point.itlMs]),
  );
  const title = escape(`${profile.model ?? "Profile"}: ${profile.source ?? ""}`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style>body{font:14px system-ui;margin:2rem;max-width:${width}px}svg{width:100%}h1{font-size:1.25rem;overflow-wrap:anywhere}@media(max-width:600px){body{margin:1rem}}</style><h1>${title}</h1>
${chart("TTFT in ms over input tokens", [ttft], ["prefill"])}
${chart(
  "ITL in ms over KV usage in per cent",
  itl,
  contexts.map((context) => `${context} tokens`),
)}
</html>
`;
}

function chart(title: string, lines: readonly Points[], names: readonly string[]): string {
  const all = lines.flat();
  const right = Math.max(1, ...all.map(([x]) => x));
  const top = Math.max(1e-9, ...all.map(([, y]) => y)) * 1.05;
  const x = (value: number): string => (50 + (value / right) * (width - 80)).toFixed(1);
  const y = (value: number): string => (height - 24 - (value / top) * (height - 46)).toFixed(1);
  const paths = lines.map((points, i) => {
    const sorted = [...points].sort((a, b) => a[0] - b[0]);
    const d = sorted.map(([px, py], k) => `${k === 0 ? "M" : "L"}${x(px)},${y(py)}`).join("");
    // Points are what was measured; lines between them are not.
    const dots = sorted
      .map(
        ([px, py]) => `<circle cx="${x(px)}" cy="${y(py)}" r="2.5" fill="${colours[i % colours.length]}"/>`,
      )
      .join("");
    return `<path d="${d}" fill="none" stroke="${colours[i % colours.length]}" stroke-width="1.5"/>${dots}<text x="60" y="${24 + i * 15}" font-size="12" fill="${colours[i % colours.length]}">${escape(names[i] ?? "")}</text>`;
  });
  const ticks = [0, 0.5, 1].map(
    (share) =>
      `<line x1="50" x2="${width - 30}" y1="${y(share * top)}" y2="${y(share * top)}" stroke="#ddd"/><text x="44" y="${y(share * top)}" text-anchor="end" font-size="11">${(share * top).toFixed(share * top < 10 ? 1 : 0)}</text><text x="${x(share * right)}" y="${height - 6}" text-anchor="middle" font-size="11">${Math.round(share * right)}</text>`,
  );
  return `<h2>${title}</h2><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">${ticks.join("")}${paths.join("")}</svg>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
}
