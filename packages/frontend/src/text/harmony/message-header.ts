/** Where the body of a message goes. */
export type MessageTarget =
  | { readonly kind: "answer" }
  | { readonly kind: "reasoning" }
  | { readonly kind: "call"; readonly name: string };

/**
 * Reads what stands between `<|start|>` and `<|message|>`: a role, `to=` a recipient (beside the role or the channel), the channel, and
 * the type of what follows.
 *
 * Channel `analysis` holds thoughts, `final` the answer, `commentary` without a recipient what the user may read before a call. A
 * recipient other than a function of the request (the built-in browser and python) is the model's own business: thoughts.
 */
export function readHeader(header: string, hasTools: boolean): MessageTarget {
  const recipient = /(?:^|\s|>)to=([\w.:-]+)/.exec(header)?.[1];
  if (recipient !== undefined && recipient !== "user" && recipient !== "assistant") {
    const name = hasTools ? /^functions\.(.+)$/.exec(recipient)?.[1] : undefined;
    return name === undefined ? { kind: "reasoning" } : { kind: "call", name };
  }
  const channel = /<\|channel\|>\s*(\w+)/.exec(header)?.[1];
  return channel === "analysis" ? { kind: "reasoning" } : { kind: "answer" };
}
