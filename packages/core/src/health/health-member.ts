import type { Clock } from "../ports/clock.ts";
import { createCircuit } from "./circuit.ts";
import type { Deadlines } from "./deadlines.ts";
import { observationRules, type ObservationRule } from "./observation.ts";
import { createProgress } from "./progress.ts";
import type { Observation, WorkerCondition, WorkerHealth, WorkerState } from "./worker-health.ts";

/** A worker's health as its group drives it. */
export interface HealthMember extends WorkerHealth {
  readonly pool: string;
  /** Its session is open, so its silence means something. */
  readonly isListening: boolean;
  readonly heardMs: number;
  restartClocks(nowMs: number): void;
  /** Looks at progress, and tells what changed by time alone. */
  judgeTime(nowMs: number): void;
  needsTime(nowMs: number): boolean;
}

interface HealthMemberOptions {
  readonly worker: string;
  readonly epoch: string;
  readonly pool: string;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly random: () => number;
  /** Sees to it that the group looks at the time. */
  readonly arm: () => void;
  readonly onHeard: (nowMs: number) => void;
  readonly mayEjectOutlier: () => boolean;
}

const stateOf: Readonly<Record<WorkerCondition, WorkerState>> = {
  ready: "ready",
  busy: "ready",
  probing: "ready",
  suspect: "suspect",
  draining: "draining",
  ejected: "ejected",
  stuck: "ejected",
  incompatible: "ejected",
  silent: "dead",
  unfit: "dead",
  gone: "dead",
};

export function createHealthMember(options: HealthMemberOptions): HealthMember {
  const { clock, deadlines } = options;
  const circuit = createCircuit(deadlines, options.random);
  const progress = createProgress(deadlines);
  const listeners = new Set<(state: WorkerState, condition: WorkerCondition) => void>();
  const counts = { ejections: 0, deaths: 0, protocolFaults: 0 };
  let isRegistered = true;
  let isSessionOpen = false;
  let isReconnecting = false;
  let heardMs = 0;
  let isSilent = false;
  let isStuck = false;
  let isDraining = false;
  let isUnfit = false;
  let isIncompatible = false;
  /** Its last ejection was for being out of reach, which an open session disproves. */
  let wasUnreachable = false;
  let busyUntilMs = 0;
  let told: WorkerCondition = "ready";
  let lastReason = "";

  const conditionAt = (nowMs: number): WorkerCondition => {
    if (isUnfit) return "unfit";
    if (isSilent) return "silent";
    if (!isRegistered && !isSessionOpen) return "gone";
    if (isIncompatible) return "incompatible";
    if (isStuck) return "stuck";
    if (isDraining) return "draining";
    const broken = circuit.state(nowMs);
    if (broken === "open") return "ejected";
    if (isReconnecting || (isSessionOpen && nowMs - heardMs > deadlines.suspectMs)) return "suspect";
    if (nowMs < busyUntilMs) return "busy";
    return broken === "halfOpen" ? "probing" : "ready";
  };

  const tell = (): void => {
    const condition = conditionAt(clock.now());
    if (condition === told) return;
    told = condition;
    for (const listener of [...listeners]) listener(stateOf[condition], condition);
  };

  const eject = (nowMs: number, why: "failed" | "slow" = "failed"): void => {
    if (circuit.eject(nowMs, why)) counts.ejections += 1;
  };

  const hear = (nowMs: number): void => {
    heardMs = nowMs;
    isSilent = false;
    options.onHeard(nowMs);
  };

  const applyRule = (rule: ObservationRule, nowMs: number): void => {
    if (rule.effect !== "ejectThirdTime") circuit.isProbeOut = false;
    switch (rule.effect) {
      case "none":
        return;
      case "reset":
        return circuit.close(nowMs);
      case "eject":
        if (rule.class === "stuck") isStuck = true;
        if (circuit.state(nowMs) !== "open") wasUnreachable = rule === observationRules.neverStarted;
        return eject(nowMs);
      case "ejectThirdTime":
        counts.protocolFaults += 1;
        if (counts.protocolFaults % 3 === 0) eject(nowMs);
        return;
      case "drain":
        isDraining = true;
        return;
      case "dead":
        if (!isSilent) counts.deaths += 1;
        isSilent = true;
        return eject(nowMs);
      case "busyLease":
        busyUntilMs = nowMs + deadlines.busyLeaseMs;
        return;
      case "unfit":
        isUnfit = true;
        return;
      case "exclude":
        isIncompatible = true;
        return;
    }
  };

  const apply = (observation: Observation, nowMs: number): ObservationRule | undefined => {
    switch (observation.type) {
      case "connected":
        isSessionOpen = true;
        isReconnecting = false;
        hear(nowMs);
        if (wasUnreachable) circuit.close(nowMs);
        wasUnreachable = false;
        return undefined;
      case "disconnected":
        isSessionOpen = false;
        isReconnecting = observation.isComingBack === true;
        progress.stop();
        return undefined;
      case "left":
      case "registered":
        isRegistered = observation.type === "registered";
        return undefined;
      case "spoke":
        circuit.spoke();
        return undefined;
      case "outlier":
        if (options.mayEjectOutlier()) eject(nowMs, "slow");
        return undefined;
      case "frame":
        hear(nowMs);
        progress.see(nowMs, observation.step, observation.running, observation.stepExpectedMs);
        isStuck &&= progress.isStuck(nowMs);
        return undefined;
      default: {
        const rule = observationRules[observation.type];
        applyRule(rule, nowMs);
        return rule;
      }
    }
  };

  const member: HealthMember = {
    worker: options.worker,
    epoch: options.epoch,
    pool: options.pool,
    counts,
    get state() {
      return stateOf[conditionAt(clock.now())];
    },
    get condition() {
      return conditionAt(clock.now());
    },
    get isSelectable() {
      const condition = conditionAt(clock.now());
      return condition === "ready" || (condition === "probing" && !circuit.isProbeOut);
    },
    get reason() {
      const condition = conditionAt(clock.now());
      if (condition === "ready") return undefined;
      return lastReason === "" ? condition : `${condition}: ${lastReason}`;
    },
    get warmth() {
      return circuit.warmth(clock.now());
    },
    get isListening() {
      return isSessionOpen && !isSilent;
    },
    get heardMs() {
      return heardMs;
    },
    admit() {
      if (!member.isSelectable) return undefined;
      const isProbe = circuit.state(clock.now()) === "halfOpen";
      if (isProbe) circuit.isProbeOut = true;
      return { isProbe };
    },
    withdraw(admission) {
      if (admission.isProbe) circuit.isProbeOut = false;
    },
    observe(observation) {
      const nowMs = clock.now();
      const rule = apply(observation, nowMs);
      if (rule !== undefined && rule.effect !== "none" && rule.effect !== "reset") {
        lastReason = "reason" in observation ? observation.reason : messageOf(observation);
      }
      tell();
      if (member.needsTime(nowMs)) options.arm();
      return rule;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    restartClocks(nowMs) {
      if (member.isListening) heardMs = nowMs;
      progress.restart(nowMs);
    },
    judgeTime(nowMs) {
      if (!isSilent && !isStuck && !isUnfit && progress.isStuck(nowMs)) member.observe({ type: "stuck" });
      else tell();
    },
    needsTime(nowMs) {
      if (member.isListening || progress.hasWork) return true;
      const condition = conditionAt(nowMs);
      return condition === "ejected" || condition === "busy" || condition !== told;
    },
  };
  return member;
}

function messageOf(observation: Observation): string {
  if ("cause" in observation && observation.cause instanceof Error) return observation.cause.message;
  return observation.type;
}
