import { FrontendError } from "../../errors.ts";

// What the API itself refuses, apart from fields of a body.

export function modelNotFound(name: string): FrontendError {
  const shown = JSON.stringify(name.slice(0, 64)) + (name.length > 64 ? " (cut)" : "");
  return new FrontendError({
    code: "FRONTEND_MODEL_NOT_FOUND",
    kind: "notFound",
    message: `The model ${shown} does not exist. GET /v1/models lists those that do.`,
    data: { param: "model" },
  });
}

export function routeNotFound(): FrontendError {
  return new FrontendError({
    code: "FRONTEND_ROUTE_NOT_FOUND",
    kind: "notFound",
    message: "There is no such route here.",
  });
}

export function methodNotAllowed(method: string): FrontendError {
  return new FrontendError({
    code: "FRONTEND_METHOD_NOT_ALLOWED",
    kind: "invalid",
    message: `${method.slice(0, 16)} is not allowed on this route.`,
  });
}

export function mediaTypeUnsupported(message: string): FrontendError {
  return new FrontendError({ code: "FRONTEND_MEDIA_TYPE_UNSUPPORTED", kind: "invalid", message });
}

export function overloaded(why: string): FrontendError {
  return new FrontendError({
    code: "FRONTEND_OVERLOADED",
    kind: "overloaded",
    message: `${why} Retry later.`,
  });
}

export function draining(): FrontendError {
  return new FrontendError({
    code: "FRONTEND_DRAINING",
    kind: "unavailable",
    message: "This server is shutting down. Another one will take the request.",
  });
}

export function deadlinePassed(ms: number): FrontendError {
  return new FrontendError({
    code: "FRONTEND_DEADLINE",
    kind: "deadline",
    message: `The request did not end within ${ms} ms.`,
  });
}

export function clientGone(): FrontendError {
  return new FrontendError({
    code: "FRONTEND_CLIENT_GONE",
    kind: "cancelled",
    message: "The client went away.",
  });
}
