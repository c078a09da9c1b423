/** Sizes of the session's messages, in bytes. Architecture section 4: starts in pieces of 64 KiB, frames of 256 KiB. */

/** Longest piece of a start, of a detail inside a frame, and of a bulk answer. */
export const pieceBytes: number = 64 * 1024;
/** Longest frame. */
export const frameBytes: number = 256 * 1024;
/** Longest batch of pieces that a caller sends at once. */
export const requestBytes: number = 256 * 1024;
/** What either side reads at most in one message; a longer one ends the session. */
export const readMaxBytes: number = 1024 * 1024;
/** Longest request: 4 million prompt tokens with their handoff. */
export const longestRequestBytes: number = 24 * 1024 * 1024;
/** Longest artefact, snapshot or detail on the bulk service. */
export const longestBulkBytes: number = 64 * 1024 * 1024;
