import type { Candidate } from "../../../src/index.ts";

interface LayoutDrawingProps {
  readonly candidate: Candidate;
  readonly gpus: number;
  readonly gpusPerNode: number;
}

interface Gpu {
  readonly role: string;
  readonly worker: string;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** Which GPU does what: one square each, joined where they form one worker, boxed by node. */
export function LayoutDrawing({ candidate, gpus, gpusPerNode }: LayoutDrawingProps) {
  const all: Gpu[] = [];
  for (const group of candidate.workers)
    for (let worker = 0; worker < group.count; worker++)
      for (let gpu = 0; gpu < group.gpus; gpu++)
        all.push({
          role: group.role,
          worker: `${group.role === "both" ? "worker" : group.role} ${worker + 1}, ${group.label}`,
          isFirst: gpu === 0,
          isLast: gpu === group.gpus - 1,
        });
  while (all.length < gpus) all.push({ role: "idle", worker: "idle", isFirst: true, isLast: true });
  const nodes: Gpu[][] = [];
  for (let from = 0; from < all.length; from += gpusPerNode) nodes.push(all.slice(from, from + gpusPerNode));
  const idle = gpus - candidate.gpusUsed;
  return (
    <section class="panel drawing">
      <div class="panel-title">
        <h3>Which GPU does what</h3>
        <p class="legend">
          {nodes.length} node{nodes.length > 1 ? "s" : ""} of {gpusPerNode}
        </p>
      </div>
      <div class={`nodes${nodes.length > 8 ? " is-dense" : nodes.length <= 2 ? " is-roomy" : ""}`}>
        {nodes.map((node, index) => (
          <div class="node" key={index}>
            <span class="node-name">{index + 1}</span>
            {node.map((gpu, at) => (
              <i
                key={at}
                class={`gpu ${gpu.role}${gpu.isFirst ? " first" : ""}${gpu.isLast ? " last" : ""}`}
                title={gpu.worker}
              />
            ))}
          </div>
        ))}
      </div>
      <ul class="groups">
        {candidate.workers.map((group) => (
          <li key={group.role + group.label}>
            <i class={`gpu ${group.role} first last`} />
            <span>
              <strong>
                {group.count} × {group.role === "both" ? "worker" : group.role}
              </strong>{" "}
              {group.label}, {group.gpus} GPU{group.gpus > 1 ? "s" : ""}
              {group.role === "prefill"
                ? ""
                : `, batch ${group.batch}${group.parallelism.data > 1 ? " per rank" : ""}`}
            </span>
          </li>
        ))}
        {idle > 0 && (
          <li>
            <i class="gpu idle first last" />
            <span>{idle} idle</span>
          </li>
        )}
      </ul>
    </section>
  );
}
