import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  GenerateRequestSchema,
  GrammarKind,
  MediaKind,
  Mode,
  type GenerateRequest as Wire,
} from "@stator/contracts";
import {
  extended,
  type GenerateRequest,
  type Grammar,
  type Hints,
  type Limits,
  type Media,
  type Sampling,
} from "@stator/core";
import { handoffFromWire, handoffToWire } from "./handoff-codec.ts";
import { given, names, type Names } from "./names.ts";
import { bytesOfU32, u32OfBytes } from "./words.ts";

const modes = names<GenerateRequest["mode"], Mode>({ full: Mode.FULL, prefill: Mode.PREFILL });
export const grammarKinds: Names<Grammar["kind"], GrammarKind> = names<Grammar["kind"], GrammarKind>({
  jsonSchema: GrammarKind.JSON_SCHEMA,
  regex: GrammarKind.REGEX,
  ebnf: GrammarKind.EBNF,
});
const mediaKinds = names<Media["kind"], MediaKind>({
  image: MediaKind.IMAGE,
  audio: MediaKind.AUDIO,
  video: MediaKind.VIDEO,
});

export function encodeRequest(request: GenerateRequest): Uint8Array {
  return toBinary(GenerateRequestSchema, requestToWire(request));
}

/** @throws Error of protobuf-es if the bytes are not a GenerateRequest. */
export function decodeRequest(bytes: Uint8Array): GenerateRequest {
  return requestFromWire(fromBinary(GenerateRequestSchema, bytes));
}

export function requestToWire(request: GenerateRequest): Wire {
  const { logitBias, ...sampling } = request.sampling;
  const { limits, grammar, media, handoff } = request;
  return create(GenerateRequestSchema, {
    id: request.id,
    model: request.model,
    attempt: request.attempt,
    choice: request.choice,
    promptIds: bytesOfU32(request.promptIds),
    outputIds: bytesOfU32(request.outputIds),
    sampling: extended(sampling, {
      seed: BigInt.asUintN(64, sampling.seed),
      logitBiasIds: logitBias === undefined ? [] : [...logitBias.keys()],
      logitBiasValues: logitBias === undefined ? [] : [...logitBias.values()],
    }),
    limits: {
      maxTokens: limits.maxTokens,
      ...given("minTokens", limits.minTokens),
      stopIds: [...(limits.stopIds ?? [])],
      ...given("ignoreEos", limits.ignoreEos),
    },
    mode: modes.number(request.mode),
    ...given("handoff", handoff && handoffToWire(handoff)),
    ...given("topLogprobs", request.topLogprobs),
    avoid: request.avoid.map(({ worker, epoch }) => ({ worker, epoch })),
    ...given("adapter", request.adapter),
    ...given("tenantSalt", request.tenantSalt),
    ...given("priority", request.priority),
    ...given("grammar", grammar && { kind: grammarKinds.number(grammar.kind), source: grammar.source }),
    media: (media ?? []).map((part) => ({ ...part, kind: mediaKinds.number(part.kind) })),
    ...given("hints", hintsToWire(request.hints)),
    ...given("traceparent", request.traceparent),
  });
}

function hintsToWire(hints: Hints | undefined) {
  if (hints === undefined) return undefined;
  const { requireLabels, ...rest } = hints;
  return { ...rest, requireLabels: { ...requireLabels } };
}

export function requestFromWire(wire: Wire): GenerateRequest {
  return {
    id: wire.id,
    model: wire.model,
    attempt: wire.attempt,
    choice: wire.choice,
    promptIds: u32OfBytes(wire.promptIds),
    outputIds: u32OfBytes(wire.outputIds),
    sampling: samplingFromWire(wire.sampling),
    limits: limitsFromWire(wire.limits),
    mode: modes.word(wire.mode, "full"),
    ...given("handoff", wire.handoff && handoffFromWire(wire.handoff)),
    ...given("topLogprobs", wire.topLogprobs),
    avoid: wire.avoid.map(({ worker, epoch }) => ({ worker, epoch })),
    ...given("adapter", wire.adapter),
    ...given("tenantSalt", wire.tenantSalt),
    ...given("priority", wire.priority),
    ...given(
      "grammar",
      wire.grammar && {
        kind: grammarKinds.word(wire.grammar.kind, "jsonSchema"),
        source: wire.grammar.source,
      },
    ),
    ...(wire.media.length === 0
      ? {}
      : {
          media: wire.media.map((part) => ({
            kind: mediaKinds.word(part.kind, "image"),
            url: part.url,
            hash: part.hash,
            offsetTokens: part.offsetTokens,
            lengthTokens: part.lengthTokens,
          })),
        }),
    ...given("hints", hintsFromWire(wire.hints)),
    ...given("traceparent", wire.traceparent),
  };
}

function samplingFromWire(wire: Wire["sampling"]): Sampling {
  const ids = wire?.logitBiasIds ?? [];
  const values = wire?.logitBiasValues ?? [];
  return {
    temperature: wire?.temperature ?? 0,
    topP: wire?.topP ?? 1,
    topK: wire?.topK ?? 0,
    minP: wire?.minP ?? 0,
    seed: wire?.seed ?? 0n,
    presencePenalty: wire?.presencePenalty ?? 0,
    frequencyPenalty: wire?.frequencyPenalty ?? 0,
    repetitionPenalty: wire?.repetitionPenalty ?? 1,
    ...(ids.length === 0 ? {} : { logitBias: new Map(ids.map((id, index) => [id, values[index] ?? 0])) }),
  };
}

function limitsFromWire(wire: Wire["limits"]): Limits {
  return {
    maxTokens: wire?.maxTokens ?? 0,
    ...given("minTokens", wire?.minTokens),
    ...(wire === undefined || wire.stopIds.length === 0 ? {} : { stopIds: wire.stopIds }),
    ...given("ignoreEos", wire?.ignoreEos),
  };
}

function hintsFromWire(wire: Wire["hints"]): Hints | undefined {
  if (wire === undefined) return undefined;
  return {
    ...given("expectedOutputTokens", wire.expectedOutputTokens),
    ...given("sessionId", wire.sessionId),
    ...(Object.keys(wire.requireLabels).length === 0 ? {} : { requireLabels: wire.requireLabels }),
    ...given("pin", wire.pin && { worker: wire.pin.worker, ...given("rank", wire.pin.rank) }),
  };
}
