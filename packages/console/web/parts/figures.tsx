import type { RateView } from "../../src/feed/views.ts";
import { count, duration, percent } from "../format.ts";

interface Figure {
  readonly name: string;
  readonly value: string;
  readonly detail: string;
  readonly points: readonly (number | undefined)[];
  readonly tone: "copper" | "decode" | "prefill" | "both";
}

/** Six figures of the last seconds, each with its two minutes. */
export function Figures({ rates }: { readonly rates: readonly RateView[] }) {
  const last = rates.at(-1);
  const figures: readonly Figure[] = [
    {
      name: "Requests",
      value: `${count(last?.requestsPerSecond)}/s`,
      detail: `${last?.active ?? 0} in flight`,
      points: rates.map((r) => r.requestsPerSecond),
      tone: "copper",
    },
    {
      name: "Output tokens",
      value: `${count(last?.outputTokensPerSecond)}/s`,
      detail: "all models",
      points: rates.map((r) => r.outputTokensPerSecond),
      tone: "decode",
    },
    {
      name: "First token",
      value: duration(last?.ttftP50Ms),
      detail: `p99 ${duration(last?.ttftP99Ms)}`,
      points: rates.map((r) => r.ttftP50Ms),
      tone: "prefill",
    },
    {
      name: "Between tokens",
      value: duration(last?.itlP50Ms),
      detail: `p99 ${duration(last?.itlP99Ms)}`,
      points: rates.map((r) => r.itlP50Ms),
      tone: "decode",
    },
    {
      name: "Prompt from cache",
      value: percent(last?.hitRatio),
      detail: "of prompt tokens",
      points: rates.map((r) => r.hitRatio),
      tone: "both",
    },
  ];
  return (
    <section class="figures" aria-label="Figures of the last ten seconds">
      {figures.map((figure) => (
        <div class={`panel figure ${figure.tone}`} key={figure.name}>
          <h2>{figure.name}</h2>
          <p class="value">{figure.value}</p>
          <p class="quiet">{figure.detail}</p>
          <Sparkline points={figure.points} />
        </div>
      ))}
    </section>
  );
}

/** Up to two minutes as a line with a soft floor. Its figure is told beside it. */
function Sparkline({ points }: { readonly points: readonly (number | undefined)[] }) {
  const width = 120;
  const height = 36;
  const most = Math.max(...points.map((p) => p ?? 0), 1e-9);
  const span = Math.max(30, points.length);
  const at = (value: number, i: number): string =>
    `${((i + span - points.length) / (span - 1)) * width},${height - 2 - (value / most) * (height - 6)}`;
  const known = points.flatMap((value, i) => (value === undefined ? [] : [at(value, i)]));
  if (known.length < 2) return <svg class="spark" viewBox={`0 0 ${width} ${height}`} aria-hidden="true" />;
  const first = known[0]?.split(",")[0];
  const end = known.at(-1)?.split(",")[0];
  return (
    <svg class="spark" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="floor" d={`M${first},${height} L${known.join(" L")} L${end},${height} Z`} />
      <path class="line" d={`M${known.join(" L")}`} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
