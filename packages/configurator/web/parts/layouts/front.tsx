import { useEffect, useRef, useState } from "preact/hooks";
import type { Candidate, ParetoPoint, SearchResult } from "../../../src/index.ts";
import { describeWorkers } from "../../../src/index.ts";
import { count, ticks, time } from "../../format.ts";

interface FrontProps {
  readonly result: SearchResult;
  readonly selected: Candidate;
  readonly limitSpeed: number;
  /** Speeds per user that the table is narrowed to. */
  readonly band: readonly [number, number] | undefined;
  readonly setBand: (band: readonly [number, number] | undefined) => void;
  readonly choose: (candidate: Candidate) => void;
}

const edge = { left: 52, right: 16, top: 18, bottom: 40 };

/** Throughput against speed: hover for a point's figures, click to choose it, drag across to narrow the table. */
export function Front({ result, selected, limitSpeed, band, setBand, choose }: FrontProps) {
  const svg = useRef<SVGSVGElement>(null);
  const plot = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(560);
  const height = Math.round(Math.max(260, Math.min(360, width * 0.62)));
  // Drawn at the size it is shown, so that text is never scaled.
  useEffect(() => {
    if (!plot.current) return undefined;
    const observer = new ResizeObserver(
      ([entry]) => entry && setWidth(Math.max(260, Math.round(entry.contentRect.width))),
    );
    observer.observe(plot.current);
    return () => observer.disconnect();
  }, []);
  const [hover, setHover] = useState<ParetoPoint>();
  const [drag, showDrag] = useState<{ readonly from: number; readonly to: number }>();
  // Events come faster than renders: the handlers read this, the drawing reads the state.
  const dragged = useRef<typeof drag>(undefined);
  const setDrag = (next: typeof drag): void => {
    dragged.current = next;
    showDrag(next);
  };
  const points = result.pareto;
  const maxX = Math.max(...points.map((point) => point.tokensPerSecondPerUser), 1) * 1.05;
  const maxY = Math.max(...points.map((point) => point.tokensPerSecondPerGpu), 1) * 1.1;
  const x = (value: number): number => edge.left + (value / maxX) * (width - edge.left - edge.right);
  const y = (value: number): number =>
    height - edge.bottom - (value / maxY) * (height - edge.top - edge.bottom);
  const speedAt = (event: PointerEvent): number => {
    const box = svg.current?.getBoundingClientRect();
    if (!box) return 0;
    const at = ((event.clientX - box.left) / box.width) * width;
    return Math.min(maxX, Math.max(0, ((at - edge.left) / (width - edge.left - edge.right)) * maxX));
  };
  const nearest = (event: PointerEvent): ParetoPoint | undefined => {
    const box = svg.current?.getBoundingClientRect();
    if (!box) return undefined;
    const at = [
      ((event.clientX - box.left) / box.width) * width,
      ((event.clientY - box.top) / box.height) * height,
    ] as const;
    const distance = (point: ParetoPoint): number =>
      Math.hypot(x(point.tokensPerSecondPerUser) - at[0], y(point.tokensPerSecondPerGpu) - at[1]);
    const closest = [...points].sort((a, b) => distance(a) - distance(b))[0];
    return closest && distance(closest) < 28 ? closest : undefined;
  };
  const finish = (event: PointerEvent): void => {
    const range = dragged.current;
    if (range && Math.abs(range.to - range.from) > maxX * 0.02)
      setBand([Math.min(range.from, range.to), Math.max(range.from, range.to)]);
    else {
      const point = nearest(event);
      if (point) choose(point);
      else setBand(undefined);
    }
    setDrag(undefined);
  };
  const shade =
    drag && Math.abs(drag.to - drag.from) > maxX * 0.02
      ? ([Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)] as const)
      : band;
  const path = (mode: string): string =>
    points
      .filter((point) => point.mode === mode)
      .map(
        (point, index) =>
          `${index === 0 ? "M" : "L"}${x(point.tokensPerSecondPerUser).toFixed(1)} ${y(point.tokensPerSecondPerGpu).toFixed(1)}`,
      )
      .join("");
  const tip = hover && {
    left: x(hover.tokensPerSecondPerUser) / width,
    top: y(hover.tokensPerSecondPerGpu) / height,
  };

  return (
    <section class="panel front">
      <div class="panel-title">
        <h3>Throughput against speed</h3>
        <p class="legend">
          <span class="key disagg">Disaggregated</span>
          <span class="key agg">Aggregated</span>
        </p>
      </div>
      <div class="plot" ref={plot}>
        <svg
          ref={svg}
          viewBox={`0 0 ${width} ${height}`}
          role="img"
          aria-label="Pareto front: tokens per second per GPU against tokens per second per user"
          onPointerDown={(event) => {
            (event.currentTarget as Element).setPointerCapture(event.pointerId);
            const speed = speedAt(event);
            setDrag({ from: speed, to: speed });
          }}
          onPointerMove={(event) => {
            if (dragged.current) setDrag({ ...dragged.current, to: speedAt(event) });
            setHover(nearest(event));
          }}
          onPointerUp={finish}
          onPointerLeave={() => setHover(undefined)}
        >
          {ticks(maxY, 5).map((value) => (
            <g key={value}>
              <line class="grid" x1={edge.left} x2={width - edge.right} y1={y(value)} y2={y(value)} />
              <text class="tick" x={edge.left - 8} y={y(value) + 4} text-anchor="end">
                {count(value)}
              </text>
            </g>
          ))}
          {ticks(maxX, width < 420 ? 4 : 6).map((value) => (
            <text key={value} class="tick" x={x(value)} y={height - edge.bottom + 18} text-anchor="middle">
              {value.toFixed(0)}
            </text>
          ))}
          <text class="axis" x={(edge.left + width - edge.right) / 2} y={height - 5} text-anchor="middle">
            tokens/s per user
          </text>
          <text class="axis" x={edge.left - 44} y={11}>
            tokens/s per GPU
          </text>
          {shade && (
            <rect
              class="band"
              x={x(shade[0])}
              width={Math.max(1, x(shade[1]) - x(shade[0]))}
              y={edge.top}
              height={height - edge.top - edge.bottom}
            />
          )}
          {limitSpeed < maxX && (
            <g>
              <line
                class="limit"
                x1={x(limitSpeed)}
                x2={x(limitSpeed)}
                y1={edge.top}
                y2={height - edge.bottom}
              />
              <text class="tick limit-text" x={x(limitSpeed) + 5} y={edge.top + 10}>
                limit
              </text>
            </g>
          )}
          <path class="line agg" d={path("agg")} />
          <path class="line disagg" d={path("disagg")} />
          {points.map((point) => {
            const isOn =
              point.mode === selected.mode &&
              describeWorkers(point.workers) === describeWorkers(selected.workers);
            return (
              <circle
                key={`${point.mode}${point.label}`}
                class={`dot ${point.mode}${isOn ? " is-on" : ""}${point.meetsLimits ? "" : " is-out"}`}
                cx={x(point.tokensPerSecondPerUser)}
                cy={y(point.tokensPerSecondPerGpu)}
                r={point === hover ? 6 : 4}
              />
            );
          })}
          <circle
            class={`ring ${selected.mode}`}
            cx={x(selected.tokensPerSecondPerUser)}
            cy={y(selected.tokensPerSecondPerGpu)}
            r="9"
          />
        </svg>
        {hover && tip && (
          <div
            class="tip"
            style={{
              left: `${tip.left * 100}%`,
              top: `${tip.top * 100}%`,
              transform: `translate(${tip.left > 0.55 ? "calc(-100% - 12px)" : "12px"}, ${tip.top > 0.5 ? "-100%" : "0"})`,
            }}
          >
            <strong>{hover.label}</strong>
            <span>
              {count(hover.tokensPerSecondPerGpu)} tokens/s per GPU, {count(hover.tokensPerSecondPerUser)} per
              user
            </span>
            <span>
              first token {time(hover.ttftMs)}, per token {time(hover.tpotMs)}
            </span>
          </div>
        )}
      </div>
      <p class="quiet">
        {band ? (
          <>
            Table shows {band[0].toFixed(0)} to {band[1].toFixed(0)} tokens/s per user.{" "}
            <button type="button" class="link" onClick={() => setBand(undefined)}>
              Show all
            </button>
          </>
        ) : (
          "Click a point to see its layout; drag across to narrow the table."
        )}
      </p>
    </section>
  );
}
