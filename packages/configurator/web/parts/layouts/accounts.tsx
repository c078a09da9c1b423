import { useMemo } from "preact/hooks";
import type { Candidate, Estimate } from "../../../src/index.ts";
import { accountsOf } from "../../answer.ts";
import { gib, time } from "../../format.ts";
import type { Inputs } from "../../inputs.ts";

interface AccountsProps {
  readonly candidate: Candidate;
  readonly inputs: Inputs;
}

const plain: Readonly<Record<string, string>> = {
  qkvProjection: "QKV projection",
  outputProjection: "Output projection",
  upProjection: "Up projection",
  downProjectionFfn: "Down projection",
  downProjection: "Latent down projection",
  queryProjection: "Query projection",
  kvProjection: "KV projection",
  prefillAttention: "Attention",
  decodeAttention: "Attention",
  experts: "Experts",
  router: "Router",
  logits: "Logits",
  sampling: "Sampling",
  engineOverhead: "Engine overhead",
  attentionAllReduce: "All-reduce, attention",
  feedForwardAllReduce: "All-reduce, feed-forward",
  expertsAllReduce: "All-reduce, experts",
  dispatch: "Expert dispatch",
  combine: "Expert combine",
  normAndRotary: "Norm and rotary",
  normAndRouting: "Norm and routing",
  normAndConvolution: "Norm and convolution",
  absorbQuery: "Absorb query",
  expandValue: "Expand value",
  sharedExpertUp: "Shared expert, up",
  sharedExpertDown: "Shared expert, down",
  activation: "Activation",
  embedding: "Embedding",
  logitsGather: "Logits gather",
  pipeline: "Pipeline hop",
  linearAttention: "Linear attention",
  indexer: "Indexer",
  outputReduction: "Output reduction",
  expertsDown: "Into the experts' space",
  expertsUp: "Out of the experts' space",
};

function Bars({
  title,
  step,
  role,
}: {
  readonly title: string;
  readonly step: Estimate["decodeStep"];
  readonly role: string;
}) {
  const sorted = [...step.operations].sort((a, b) => b.ms - a.ms);
  const shown = sorted.slice(0, 9);
  const rest = sorted.slice(9).reduce((sum, operation) => sum + operation.ms, 0);
  const longest = shown[0]?.ms ?? 1;
  const rows = [
    ...shown.map((operation) => ({
      name: plain[operation.name] ?? operation.name,
      ms: operation.ms,
      isOverhead: operation.source === "overhead",
    })),
    ...(rest > 0 ? [{ name: "Everything else", ms: rest, isOverhead: false }] : []),
  ];
  return (
    <div class="bars">
      <h4>
        {title}
        <span>{time(step.ms)}</span>
      </h4>
      <ol>
        {rows.map((row) => (
          <li key={row.name}>
            <span class="bar-name">{row.name}</span>
            <span class="bar-track">
              <i
                class={`${role}${row.isOverhead ? " is-overhead" : ""}`}
                style={{ width: `${Math.max(0.5, (row.ms / longest) * 100)}%` }}
              />
            </span>
            <span class="bar-value">{time(row.ms)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}

function Memory({ estimate, label }: { readonly estimate: Estimate; readonly label: string }) {
  const { memory } = estimate;
  const parts = [
    { name: "Weights", bytes: memory.weightBytes, kind: "weights" },
    { name: "KV in use", bytes: memory.kvUsedBytes, kind: "kv" },
    { name: "KV free", bytes: Math.max(0, memory.kvCapacityBytes - memory.kvUsedBytes), kind: "kv-free" },
    { name: "Activations", bytes: memory.activationBytes, kind: "activations" },
    { name: "Runtime", bytes: memory.runtimeBytes, kind: "runtime" },
  ];
  const spare = memory.totalBytes - parts.reduce((sum, part) => sum + part.bytes, 0);
  return (
    <div class="memory">
      <h4>
        Memory per GPU{label}
        <span>{gib(memory.totalBytes)}</span>
      </h4>
      <div class="stack">
        {parts.map((part) => (
          <i
            key={part.name}
            class={part.kind}
            style={{ flexGrow: part.bytes }}
            title={`${part.name} ${gib(part.bytes)}`}
          />
        ))}
        <i
          class="spare"
          style={{ flexGrow: Math.max(0, spare) }}
          title={`Reserve ${gib(Math.max(0, spare))}`}
        />
      </div>
      <ul class="stack-key">
        {[...parts, { name: "Reserve", bytes: Math.max(0, spare), kind: "spare" }].map((part) => (
          <li key={part.name}>
            <i class={part.kind} />
            {part.name} <b>{gib(part.bytes)}</b>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Where the time of a step and the memory of a GPU go. */
export function Accounts({ candidate, inputs }: AccountsProps) {
  const accounts = useMemo(() => accountsOf(candidate, inputs), [candidate, inputs]);
  const prefill = accounts.find((account) => account.role !== "decode");
  const decode = accounts.find((account) => account.role !== "prefill");
  if (!prefill || !decode) return null;
  return <AccountsOf prefill={prefill.estimate} decode={decode.estimate} isSplit={prefill !== decode} />;
}

interface AccountsOfProps {
  readonly prefill: Estimate;
  readonly decode: Estimate;
  readonly isSplit: boolean;
}

/** The same for estimates that were made already. */
export function AccountsOf({ prefill, decode, isSplit }: AccountsOfProps) {
  return (
    <section class="panel">
      <div class="panel-title">
        <h3>Where the time goes</h3>
      </div>
      <div class="accounts">
        <Bars
          title={prefill.mode === "static" ? `Prefill of ${prefill.batch} prompts` : "Prefill of one prompt"}
          step={prefill.prefillStep}
          role="prefill"
        />
        <Bars title={`Decode step, batch of ${decode.batch}`} step={decode.decodeStep} role="decode" />
      </div>
      {isSplit && <Memory estimate={prefill} label=", prefill" />}
      <Memory estimate={decode} label={isSplit ? ", decode" : ""} />
    </section>
  );
}
