import type { Timeline, TimelinePoint, WorkerReport } from "@stator/simulator";
import type { Answered } from "./sweep.ts";

const WIDTH = 720;

/** A page that needs nothing else: figures of each run, and what each worker did over time, as inline SVG. */
export function htmlReport(answers: readonly Answered[], title: string): string {
  const only = answers.length === 1;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>
:root{--ink:#1b1f24;--soft:#6b7480;--line:#e3e7ec;--paper:#fff;--ground:#f6f7f9;--run:#2f6fed;--kv:#e0782f;--wait:#c2395b;--busy:#dfe9fd}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebef;--soft:#97a1ad;--line:#2c333b;--paper:#181c21;--ground:#101317;--run:#6c9bff;--kv:#f0a36b;--wait:#f07a97;--busy:#20304f}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 24px}h1{font-size:26px;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:18px;margin:36px 0 12px}
p{color:var(--soft);margin:0 0 20px}section{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:20px;margin:0 0 16px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:16px}.tile b{display:block;font-size:24px;font-weight:600;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:13px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:6px 10px;border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--soft);font-weight:500;font-size:13px}th:first-child,td:first-child{text-align:left}
.scroll{overflow-x:auto}.worker{display:grid;grid-template-columns:170px 1fr;gap:16px;align-items:center;padding:10px 0;border-bottom:1px solid var(--line)}.worker:last-child{border:0}.worker small{color:var(--soft);display:block}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}.key i{display:inline-block;width:10px;height:10px;border-radius:3px;margin:0 6px 0 16px}
</style><main><h1>${escape(title)}</h1>
<p>${only ? "One run" : `${answers.length} runs`} of the discrete-event cluster with the production router, in virtual time.</p>
${only ? "" : `<section>${comparison(answers)}</section>`}
${answers.map((one) => runSection(one)).join("\n")}
</main></html>
`;
}

function runSection({ label, result }: Answered): string {
  const { ttftMs, tpotMs, itlMs, requestMs, transferMs } = result;
  const tile = (value: string, name: string): string =>
    `<div class="tile"><b>${value}</b><span>${name}</span></div>`;
  const rows = [
    ["TTFT ms", ttftMs],
    ["TPOT ms", tpotMs],
    ["ITL ms", itlMs],
    ["request ms", requestMs],
    ...(result.transferredBytes > 0 ? [["KV transfer ms", transferMs] as const] : []),
  ] as const;
  const lost = result.requests - result.completed;
  return `${label === "" ? "" : `<h2>${escape(label)}</h2>`}
<section><div class="tiles">
${tile(figure(result.requestsPerSecond), "requests per second")}
${tile(figure(result.outputTokensPerSecond), "output tokens per second")}
${tile(figure(result.outputTokensPerSecondPerGpu), "output tokens per second and GPU")}
${tile(`${figure(result.hitRatio * 100)} %`, "of prompt tokens cached")}
${result.goodputPerSecond === undefined ? "" : tile(figure(result.goodputPerSecond), "requests per second within the SLO")}
${tile(`${result.completed}`, lost === 0 ? "requests, all completed" : `completed, ${lost} not`)}
</div></section>
<section class="scroll"><table><tr><th></th>${["mean", "p50", "p90", "p95", "p99", "max"].map((name) => `<th>${name}</th>`).join("")}</tr>
${rows.map(([name, d]) => `<tr><td>${name}</td>${[d.mean, d.p50, d.p90, d.p95, d.p99, d.max].map((v) => `<td>${figure(v)}</td>`).join("")}</tr>`).join("\n")}
</table></section>
<section><div class="key"><i style="background:var(--run);margin-left:0"></i>running<i style="background:var(--wait)"></i>waiting<i style="background:var(--kv)"></i>KV in use<i style="background:var(--busy)"></i>busy</div>
${result.workers.map((worker) => workerRow(worker, result.workers)).join("\n")}
</section>`;
}

function workerRow(worker: WorkerReport, all: readonly WorkerReport[]): string {
  const most = Math.max(
    1,
    ...all.flatMap(({ timeline }) => timeline.points.map((p) => Math.max(p.running, p.waiting))),
  );
  const longest = Math.max(1, ...all.map(({ timeline }) => timeline.points.length * timeline.sliceMs));
  const gone =
    worker.end === undefined ? "" : ` · ${worker.end} at ${figure((worker.endedMs ?? 0) / 1000)} s`;
  return `<div class="worker"><div><b>${escape(worker.worker)}</b><small>${worker.requests} requests · ${Math.round(worker.busyRatio * 100)} % busy${worker.preemptions > 0 ? ` · ${worker.preemptions} preempted` : ""}${gone}</small></div>${drawing(worker.timeline, most, longest)}</div>`;
}

function drawing(timeline: Timeline, most: number, longestMs: number): string {
  const height = 64;
  const x = (atMs: number): string => ((atMs / longestMs) * WIDTH).toFixed(1);
  const line = (of: (point: TimelinePoint) => number): string =>
    timeline.points
      .map(
        (point, i) =>
          `${i === 0 ? "M" : "L"}${x(point.atMs + timeline.sliceMs / 2)} ${(height - of(point) * (height - 2)).toFixed(1)}`,
      )
      .join("");
  const area = (of: (point: TimelinePoint) => number): string => {
    const { points, sliceMs } = timeline;
    if (points.length === 0) return "";
    return `${line(of)}L${x(points.at(-1)!.atMs + sliceMs / 2)} ${height}L${x(sliceMs / 2)} ${height}Z`;
  };
  return `<svg viewBox="0 0 ${WIDTH} ${height + 14}" role="img" aria-label="load over time">
<path d="${area((p) => p.busyRatio)}" fill="var(--busy)"/>
<path d="${line((p) => p.kvRatio)}" fill="none" stroke="var(--kv)" stroke-width="1.5"/>
<path d="${line((p) => p.waiting / most)}" fill="none" stroke="var(--wait)" stroke-width="1.5"/>
<path d="${line((p) => p.running / most)}" fill="none" stroke="var(--run)" stroke-width="1.5"/>
<path d="M0 ${height}H${WIDTH}" stroke="var(--line)"/><text x="0" y="${height + 12}">0 s</text><text x="${WIDTH}" y="${height + 12}" text-anchor="end">${figure(longestMs / 1000)} s · top ${figure(most)} requests</text></svg>`;
}

/** Throughput against TTFT of each variant, and their figures. */
function comparison(answers: readonly Answered[]): string {
  const height = 260;
  const pad = 44;
  const xs = answers.map(({ result }) => result.ttftMs.p90);
  const ys = answers.map(({ result }) => result.outputTokensPerSecondPerGpu);
  const [mostX, mostY] = [Math.max(1e-9, ...xs) * 1.08, Math.max(1e-9, ...ys) * 1.12];
  const dots = answers.map((one, i) => {
    const cx = pad + (xs[i]! / mostX) * (WIDTH - 2 * pad);
    const cy = height - pad - (ys[i]! / mostY) * (height - 2 * pad);
    return `<g><title>${escape(one.label)}</title><circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="6" fill="var(--run)" fill-opacity=".8"/><text x="${(cx + 9).toFixed(1)}" y="${(cy + 4).toFixed(1)}">${i + 1}</text></g>`;
  });
  const rows = answers.map(
    ({ label, result }, i) =>
      `<tr><td>${i + 1} · ${escape(label)}</td>${[result.ttftMs.p50, result.ttftMs.p99, result.tpotMs.p50, result.requestsPerSecond, result.outputTokensPerSecondPerGpu, result.hitRatio * 100].map((v) => `<td>${figure(v)}</td>`).join("")}</tr>`,
  );
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="throughput against TTFT"><path d="M${pad} ${pad / 2}V${height - pad}H${WIDTH - pad}" fill="none" stroke="var(--line)"/>
<text x="${WIDTH - pad}" y="${height - pad + 18}" text-anchor="end">TTFT p90, up to ${figure(mostX)} ms</text><text x="${pad + 6}" y="${pad / 2 + 8}">output tokens per second and GPU, up to ${figure(mostY)}</text>${dots.join("")}</svg>
<div class="scroll"><table><tr><th></th>${["TTFT p50 ms", "TTFT p99 ms", "TPOT p50 ms", "requests/s", "tokens/s/GPU", "cached %"].map((name) => `<th>${name}</th>`).join("")}</tr>${rows.join("")}</table></div>`;
}

function figure(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
