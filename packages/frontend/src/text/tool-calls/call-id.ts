/** An id such as OpenAI's: unique among all calls of all answers. */
export function createCallId(): string {
  return `call_${crypto.randomUUID().replaceAll("-", "")}`;
}
