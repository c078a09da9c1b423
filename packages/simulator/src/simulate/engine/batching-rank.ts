import type { BatchingRank, BatchingRankOptions, Job } from "./rank.ts";

interface Slot {
  readonly job: Job;
  readonly cachedTokens: number;
  /** Leading blocks of the chain that are held by name. */
  named: number;
  /** Blocks held without a name. */
  unnamed: number;
  computed: number;
  enteredStep: number;
  producedBefore: number;
  toldTokens: number;
}

interface Step {
  readonly startMs: number;
  readonly stepMs: number;
  readonly chunks: readonly { readonly slot: Slot; readonly tokens: number }[];
  steps: number;
}

const PROGRESS_TOKENS = 32;

export function createBatchingRank(options: BatchingRankOptions): BatchingRank {
  const { events, memory, blockTokens, gaps } = options;
  const waiting: Job[] = [];
  let prefilling: Slot[] = [];
  let running: Slot[] = [];
  /** Waiting for KV from elsewhere, or holding it for someone else. */
  const parked = new Map<Job, Slot>();
  let step: Step | undefined;
  let stepVersion = 0;
  /** Decode steps so far: each running slot got a token in each since it entered. */
  let steps = 0;
  let contextTokens = 0;
  let computedTokens = 0;
  let preemptions = 0;
  let hostFreeMs = 0;
  let isFailed = false;

  const blocksOf = (tokens: number): number => Math.ceil(tokens / blockTokens);
  const producedOf = (slot: Slot): number => slot.producedBefore + steps - slot.enteredStep;

  function admit(): void {
    while (waiting.length > 0 && running.length + prefilling.length + parked.size < options.sequences) {
      const job = waiting[0]!;
      const { deviceBlocks, hostBlocks } = memory.match(job.blocks.numbers);
      const wanted = Math.max(blocksOf(job.promptTokens + 1), job.blocks.numbers.length) - deviceBlocks;
      if (!memory.fits(wanted)) return;
      memory.pin(job.blocks.numbers, deviceBlocks);
      if (!memory.fits(wanted)) {
        memory.unpin(job.blocks.numbers, deviceBlocks);
        return;
      }
      waiting.shift();
      memory.take(wanted);
      const held = (deviceBlocks + (job.mode === "decode" ? 0 : hostBlocks)) * blockTokens;
      const cachedTokens = Math.min(held, job.promptTokens - 1);
      const slot: Slot = {
        job,
        cachedTokens,
        named: deviceBlocks,
        unnamed: wanted,
        computed: cachedTokens,
        enteredStep: 0,
        producedBefore: job.produced,
        toldTokens: 0,
      };
      if (job.mode === "decode") {
        parked.set(job, slot);
        job.reserved!(job.promptTokens - cachedTokens, () => arrive(slot));
      } else if (hostBlocks > 0) readHost(slot, hostBlocks);
      else prefilling.push(slot);
    }
  }

  function readHost(slot: Slot, blocks: number): void {
    parked.set(slot.job, slot);
    hostFreeMs = Math.max(hostFreeMs, events.now()) + blocks * options.hostBlockMs;
    events.at(hostFreeMs, () => {
      if (isFailed) return;
      parked.delete(slot.job);
      name(slot, slot.named + blocks);
      prefilling.push(slot);
      wake();
    });
  }

  function name(slot: Slot, blocks: number): void {
    memory.name(slot.job.blocks, slot.named, blocks);
    slot.unnamed -= blocks - slot.named;
    slot.named = blocks;
  }

  /** KV of a decode job has come from its prefill worker. */
  function arrive(slot: Slot): void {
    if (isFailed) return;
    parked.delete(slot.job);
    name(slot, slot.job.blocks.numbers.length);
    slot.job.prefilled(slot.cachedTokens);
    enter(slot);
    wake();
  }

  function enter(slot: Slot): void {
    slot.producedBefore = Math.max(slot.producedBefore, slot.job.produced);
    slot.enteredStep = steps;
    slot.toldTokens = slot.producedBefore;
    if (slot.producedBefore >= slot.job.outputTokens) finish(slot);
    else {
      running.push(slot);
      contextTokens += tokensOf(slot);
    }
  }

  function tokensOf(slot: Slot): number {
    return slot.job.promptTokens + producedOf(slot) - slot.producedBefore + 1;
  }

  function leave(slot: Slot): void {
    memory.give(slot.unnamed);
    memory.unpin(slot.job.blocks.numbers, slot.named);
  }

  function finish(slot: Slot): void {
    leave(slot);
    slot.job.finished();
  }

  function grow(): void {
    for (const slot of running) {
      const more = blocksOf(tokensOf(slot)) - slot.named - slot.unnamed;
      if (more <= 0) continue;
      memory.take(more);
      slot.unnamed += more;
    }
  }

  /** Room for one more token of each: the newest give way and are computed again later. */
  function makeRoom(): void {
    for (;;) {
      let more = 0;
      for (const slot of running)
        more += Math.max(0, blocksOf(tokensOf(slot) + 1) - slot.named - slot.unnamed);
      if (memory.fits(more) || running.length <= 1) return;
      const slot = running.pop()!;
      contextTokens -= tokensOf(slot);
      const { job } = slot;
      const produced = producedOf(slot);
      job.promptTokens = tokensOf(slot);
      job.produced = produced;
      job.mode = "full";
      leave(slot);
      waiting.unshift(job);
      preemptions++;
    }
  }

  function mostSteps(): number {
    let most = Infinity;
    for (const slot of running) most = Math.min(most, slot.job.outputTokens - producedOf(slot));
    const spare = (memory.capacityBlocks - memory.usedBlocks) / running.length;
    return Math.max(1, Math.min(most, Math.floor((spare - 1) * blockTokens)));
  }

  function plan(): void {
    step = undefined;
    if (isFailed) return;
    if (running.length > 0) makeRoom();
    admit();
    let budget = options.stepTokens - running.length;
    const chunks: { slot: Slot; tokens: number }[] = [];
    let prefillTokens = 0;
    let pastTokens = 0;
    for (const slot of prefilling) {
      if (budget <= 0) break;
      const tokens = Math.min(budget, slot.job.promptTokens - slot.computed);
      chunks.push({ slot, tokens });
      prefillTokens += tokens;
      pastTokens += slot.computed;
      budget -= tokens;
    }
    const decoding = running.length;
    if (chunks.length === 0 && decoding === 0) return;
    const many = chunks.length > 0 ? 1 : mostSteps();
    const ms = options.stepMs(
      prefillTokens,
      chunks.length,
      chunks.length === 0 ? 0 : pastTokens / chunks.length,
      decoding,
      decoding === 0 ? 0 : contextTokens / decoding + (many - 1) / 2,
    );
    step = { startMs: events.now(), stepMs: ms, chunks, steps: many };
    schedule(step);
  }

  function schedule(wanted: Step): void {
    const version = ++stepVersion;
    events.at(wanted.startMs + wanted.steps * wanted.stepMs, () => {
      if (version === stepVersion && !isFailed) end(wanted);
    });
  }

  /** Someone new came: a run of decode steps ends at the next step's end instead. */
  function wake(): void {
    if (step === undefined) return plan();
    if (step.steps === 1) return;
    const until = Math.max(1, Math.ceil((events.now() - step.startMs) / step.stepMs - 1e-9));
    if (until >= step.steps) return;
    step.steps = until;
    schedule(step);
  }

  function end(done: Step): void {
    const endMs = events.now();
    const prefillTokens = done.chunks.reduce((sum, chunk) => sum + chunk.tokens, 0);
    const outputTokens = running.length * done.steps;
    options.onSpan(done.startMs, endMs, {
      running: running.length + done.chunks.length,
      waiting: waiting.length + prefilling.length - done.chunks.length,
      kvRatio: memory.usedBlocks / memory.capacityBlocks,
      prefillTokens,
      outputTokens,
    });
    gaps.add(done.stepMs, outputTokens);
    computedTokens += prefillTokens;
    steps += done.steps;
    contextTokens += outputTokens;
    grow();
    const decoded = running;
    running = [];
    for (const slot of decoded) {
      const produced = producedOf(slot);
      if (produced >= slot.job.outputTokens) {
        contextTokens -= tokensOf(slot);
        slot.job.progress(produced);
        finish(slot);
      } else {
        running.push(slot);
        if (produced - slot.toldTokens < PROGRESS_TOKENS) continue;
        slot.toldTokens = produced;
        slot.job.progress(produced);
      }
    }
    for (const { slot, tokens } of done.chunks) slot.computed += tokens;
    const complete = prefilling.filter((slot) => slot.computed >= slot.job.promptTokens);
    if (complete.length > 0) prefilling = prefilling.filter((slot) => slot.computed < slot.job.promptTokens);
    for (const slot of complete) {
      name(slot, slot.job.blocks.numbers.length);
      if (slot.job.mode === "prefill") parked.set(slot.job, slot);
      slot.job.produced = slot.producedBefore + 1;
      slot.job.prefilled(slot.cachedTokens);
      if (slot.job.mode !== "prefill") enter(slot);
    }
    plan();
  }

  function release(job: Job): void {
    const slot = parked.get(job);
    if (slot === undefined || isFailed) return;
    parked.delete(job);
    leave(slot);
    wake();
  }

  return {
    get running() {
      return running.length;
    },
    get waiting() {
      return waiting.length + prefilling.length;
    },
    get isEmpty() {
      return waiting.length + prefilling.length + running.length + parked.size === 0;
    },
    get queuedTokens() {
      const prompts = waiting.filter((job) => job.mode !== "decode");
      return (
        prompts.reduce((sum, job) => sum + job.promptTokens, 0) +
        prefilling.reduce((sum, slot) => sum + slot.job.promptTokens - slot.computed, 0)
      );
    },
    get kvRatio() {
      return memory.usedBlocks / memory.capacityBlocks;
    },
    get computedTokens() {
      return computedTokens;
    },
    get preemptions() {
      return preemptions;
    },
    add(job) {
      waiting.push(job);
      wake();
    },
    release,
    cancel(job) {
      const at = waiting.indexOf(job);
      if (at >= 0) waiting.splice(at, 1);
      release(job);
    },
    fail() {
      isFailed = true;
      if (step !== undefined && step.stepMs > 0) {
        const elapsed = Math.floor((events.now() - step.startMs) / step.stepMs);
        steps += Math.min(elapsed, step.steps - 1);
      }
      for (const slot of running) slot.job.produced = producedOf(slot);
      return [...waiting, ...[...prefilling, ...running, ...parked.values()].map((slot) => slot.job)];
    },
  };
}
