// Next: save as app/v1/[...path]/route.ts.
import { createOpenAIHandler } from "@stator/frontend";
import { models } from "./models.ts";

export const runtime = "nodejs";
export const dynamic = "force-dynamic";

const handler = createOpenAIHandler({ models });

export const GET: (request: Request) => Promise<Response> = handler;
export const POST: (request: Request) => Promise<Response> = handler;
