/** One request on its way through a simulated layout. */
export interface Request {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly round: number;
  readonly arrivalMs: number;
  prefilledTokens: number;
  producedTokens: number;
  firstMs: number;
  endMs: number;
}
