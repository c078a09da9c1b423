import { useEffect, useState } from "preact/hooks";
import type { RateView, WorkerView } from "../../src/feed/views.ts";
import type { Flow } from "../feed.ts";
import { count } from "../format.ts";

interface Props {
  readonly workers: readonly WorkerView[];
  readonly flows: readonly Flow[];
  readonly rate: RateView | undefined;
}

interface Slot {
  readonly worker: WorkerView;
  readonly from: number;
  readonly to: number;
  readonly middle: number;
}

const centre = 200;
const inner = 112;
const outer = 156;

/**
 * The graph as a stator: a slot per worker around the ring, filled outward by its KV blocks, with an arc inside for
 * what it runs. Requests leave the middle; KV and migrating requests cross it. The table beside it tells the same.
 */
export function Ring({ workers, flows, rate }: Props) {
  const slots = placed(workers);
  const moving = useMoving(flows);
  const middleOf = new Map(slots.map((slot) => [slot.worker.id, slot.middle]));
  return (
    <svg
      class="ring"
      viewBox="-70 20 540 360"
      role="img"
      aria-label={`${workers.length} workers around the router`}
    >
      <defs>
        <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <line x1="0" y1="0" x2="0" y2="6" class="hatch" />
        </pattern>
      </defs>
      <circle class="bore" cx={centre} cy={centre} r={inner - 14} />
      {slots.map((slot) => (
        <SlotShape key={slot.worker.id} slot={slot} isLabelled={slots.length <= 20} />
      ))}
      {moving.map((flow) => (
        <FlowShape key={flow.key} flow={flow} middleOf={middleOf} />
      ))}
      <text class="ring-count" x={centre} y={centre + 4}>
        {count(rate?.active ?? 0)}
      </text>
      <text class="ring-word" x={centre} y={centre + 26}>
        in flight
      </text>
      {slots.length === 0 && (
        <text class="ring-word" x={centre} y={centre - 60}>
          no workers yet
        </text>
      )}
    </svg>
  );
}

function SlotShape({ slot, isLabelled }: { readonly slot: Slot; readonly isLabelled: boolean }) {
  const { worker, from, to, middle } = slot;
  const usage = worker.kvBlocksTotal > 0 ? Math.min(1, worker.kvBlocksUsed / worker.kvBlocksTotal) : 0;
  const busy = worker.capacityRequests > 0 ? Math.min(1, worker.running / worker.capacityRequests) : 0;
  const isReady = worker.state === "ready";
  const [x, y] = polar(middle, outer + 12);
  const lean = Math.cos(middle);
  return (
    <g class={`slot ${worker.role} ${worker.state}`}>
      <title>{`${worker.id}: ${worker.state}, ${worker.running} running, ${Math.round(usage * 100)} % of KV in use`}</title>
      <path class="track" d={sector(from, to, inner, outer)} />
      {usage > 0 && (
        <path class="fill" d={sector(from, to, inner, inner + (outer - inner) * Math.max(usage, 0.04))} />
      )}
      {!isReady && <path class="veil" d={sector(from, to, inner, outer)} fill="url(#hatch)" />}
      <path class="busy-track" d={arc(from, to, inner - 7)} />
      {busy > 0 && <path class="busy" d={arc(from, from + (to - from) * busy, inner - 7)} />}
      {isLabelled && (
        <text x={x} y={y + 4} text-anchor={lean > 0.3 ? "start" : lean < -0.3 ? "end" : "middle"}>
          {shortName(worker.id)}
        </text>
      )}
    </g>
  );
}

function FlowShape({
  flow,
  middleOf,
}: {
  readonly flow: Flow;
  readonly middleOf: ReadonlyMap<string, number>;
}) {
  const to = flow.to === undefined ? undefined : middleOf.get(flow.to);
  const from = flow.from === undefined ? undefined : middleOf.get(flow.from);
  if (flow.type === "routed") {
    if (to === undefined) return null;
    const [x, y] = polar(to, inner - 14);
    const [startX, startY] = polar(to, 44);
    return (
      <circle
        class="flow routed"
        r="3.5"
        cx={startX}
        cy={startY}
        style={{ "--x": `${x - startX}px`, "--y": `${y - startY}px` }}
      />
    );
  }
  if (from === undefined) return null;
  const [x1, y1] = polar(from, inner - 12);
  const [x2, y2] = to === undefined || to === from ? [centre, centre] : polar(to, inner - 12);
  return (
    <path class={`flow ${flow.type}`} d={`M${x1},${y1} Q${centre},${centre} ${x2},${y2}`} pathLength={1} />
  );
}

/** Flows stay for their animation. */
function useMoving(flows: readonly Flow[]): readonly Flow[] {
  const [moving, setMoving] = useState<readonly Flow[]>([]);
  useEffect(() => {
    if (flows.length === 0) return;
    // A burst is shown as a burst of a few: the picture stays readable.
    const fresh = flows
      .filter((flow) => flow.type !== "routed")
      .concat(flows.filter((flow) => flow.type === "routed").slice(0, 12));
    setMoving((before) => [...before, ...fresh].slice(-60));
    const keys = new Set(fresh.map(({ key }) => key));
    const timer = setTimeout(() => setMoving((before) => before.filter(({ key }) => !keys.has(key))), 2_600);
    return () => clearTimeout(timer);
  }, [flows]);
  return moving;
}

/** Workers of one role side by side, with a wider gap between roles. */
function placed(workers: readonly WorkerView[]): readonly Slot[] {
  if (workers.length === 0) return [];
  const roles = new Set(workers.map(({ role }) => role)).size;
  const gap = Math.min(0.05, 1.2 / workers.length);
  const roleGap = roles > 1 ? 0.16 : 0;
  const width = (2 * Math.PI - roles * roleGap - workers.length * gap) / workers.length;
  const slots: Slot[] = [];
  let angle = -Math.PI / 2 + roleGap / 2 + gap / 2;
  workers.forEach((worker, i) => {
    if (i > 0 && workers[i - 1]?.role !== worker.role) angle += roleGap;
    slots.push({ worker, from: angle, to: angle + width, middle: angle + width / 2 });
    angle += width + gap;
  });
  return slots;
}

function polar(angle: number, radius: number): [number, number] {
  return [centre + radius * Math.cos(angle), centre + radius * Math.sin(angle)];
}

function arc(from: number, to: number, radius: number): string {
  // A whole turn has no direction for SVG: it is left a little open.
  const end = Math.min(to, from + 2 * Math.PI - 0.001);
  const [x1, y1] = polar(from, radius);
  const [x2, y2] = polar(end, radius);
  return `M${x1},${y1} A${radius},${radius} 0 ${end - from > Math.PI ? 1 : 0} 1 ${x2},${y2}`;
}

function sector(from: number, to: number, low: number, high: number): string {
  const end = Math.min(to, from + 2 * Math.PI - 0.001);
  const [x3, y3] = polar(end, high);
  const [x4, y4] = polar(from, high);
  return `${arc(from, end, low)} L${x3},${y3} A${high},${high} 0 ${end - from > Math.PI ? 1 : 0} 0 ${x4},${y4} Z`;
}

function shortName(id: string): string {
  return id.length > 12 ? `${id.slice(0, 5)}…${id.slice(-6)}` : id;
}
