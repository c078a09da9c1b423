import { useEffect, useMemo, useState } from "preact/hooks";
import type { Candidate } from "../../../src/index.ts";
import { describeWorkers } from "../../../src/index.ts";
import { findLayouts } from "../../answer.ts";
import type { Inputs } from "../../inputs.ts";
import { Accounts } from "../layouts/accounts.tsx";
import { Downloads } from "../layouts/downloads.tsx";
import { Front } from "../layouts/front.tsx";
import { Headline } from "../layouts/headline.tsx";
import { LayoutDrawing } from "../layouts/layout-drawing.tsx";
import { LayoutTable } from "../layouts/layout-table.tsx";
import { RefusalPanel } from "./refusal.tsx";

interface LayoutsTaskProps {
  readonly inputs: Inputs;
  readonly pin: (candidate: Candidate, inputs: Inputs) => void;
}

const identity = (candidate: Candidate): string => `${candidate.mode} ${describeWorkers(candidate.workers)}`;

/** The best layouts of a budget, or of the fewest GPUs that serve a load: front, table, drawing, accounts, files. */
export function LayoutsTask({ inputs, pin }: LayoutsTaskProps) {
  const [chosen, setChosen] = useState<string>();
  const [band, setBand] = useState<readonly [number, number]>();
  const found = useMemo(() => findLayouts(inputs), [inputs]);
  useEffect(() => {
    setChosen(undefined);
    setBand(undefined);
  }, [inputs]);
  const known = useMemo(() => {
    const all = new Map<string, Candidate>();
    if (found.kind === "found")
      for (const candidate of [...found.result.pareto, ...found.result.layouts])
        all.set(identity(candidate), candidate);
    return all;
  }, [found]);
  if (found.kind === "refused") return <RefusalPanel title="No layout for this" message={found.message} />;
  const { result, target, gpus } = found;
  const best =
    (found.recommendation && known.get(identity(found.recommendation.layout))) ?? result.layouts[0];
  const selected = (chosen === undefined ? undefined : known.get(chosen)) ?? best;
  if (!best || !selected) return null;
  const choose = (candidate: Candidate): void => setChosen(identity(candidate));
  return (
    <>
      <Headline
        candidate={selected}
        best={best}
        found={found}
        inputs={inputs}
        pin={() => pin(selected, { ...inputs, gpus })}
      />
      <div class="pair">
        <Front
          result={result}
          selected={selected}
          limitSpeed={1000 / inputs.tpot}
          band={band}
          setBand={setBand}
          choose={choose}
        />
        <LayoutDrawing candidate={selected} gpus={gpus} gpusPerNode={target.system.gpusPerNode} />
      </div>
      <LayoutTable layouts={result.layouts} selected={selected} band={band} choose={choose} />
      <Accounts candidate={selected} inputs={inputs} />
      <Downloads candidate={selected} target={target} inputs={inputs} />
    </>
  );
}
