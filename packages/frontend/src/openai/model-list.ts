import type { TextModel } from "../text/text-model.ts";

/** One model as `/v1/models` shows it; `max_model_len` and `parent` are vLLM's additions. */
export function modelBody(
  name: string,
  model: TextModel,
  createdAt: number,
  ownedBy = "stator",
): Record<string, unknown> {
  return {
    id: name,
    object: "model",
    created: createdAt,
    owned_by: ownedBy,
    max_model_len: model.card?.contextTokens,
  };
}

export function modelList(
  models: readonly (readonly [string, TextModel])[],
  createdAt: number,
  ownedBy?: string,
): Record<string, unknown> {
  return { object: "list", data: models.map(([name, model]) => modelBody(name, model, createdAt, ownedBy)) };
}
