/**
 * When something is tried again, and how long is waited before.
 */

import { ApiError, ConnectionError, RateLimitError } from './errors.js';

/** The first pause and the longest, in milliseconds. */
const FIRST = 250;
const LONGEST = 8_000;
/** A service that wants longer than this is not waited for, in seconds: its answer goes to the caller. */
export const PATIENCE = 60;

/**
 * How long to wait before a request is sent again, in milliseconds; `undefined` where it is not to be.
 *
 * A request that was refused because there were too many, or with a time to come back at, was not begun: it
 * can be sent again whatever it is. After any other failure nobody knows, so only what is safe to repeat is.
 * @param {unknown} error
 * @param {number} attempt how often it was sent again before
 * @param {boolean} repeatable whether it is safe to repeat
 * @returns {number | undefined}
 */
export function pauseBefore(error, attempt, repeatable) {
  if (error instanceof ConnectionError) return repeatable ? pause(attempt) : undefined;
  if (!(error instanceof ApiError)) return undefined;
  const { status, retryAfter } = error;
  const notBegun = error instanceof RateLimitError || (status === 503 && retryAfter !== undefined);
  if (retryAfter !== undefined && retryAfter > PATIENCE) return undefined;
  if (notBegun) return Math.max((retryAfter ?? 0) * 1_000, pause(attempt));
  // What this host cannot do, or has no room for, it will not do a moment later.
  const isPassing = status >= 500 && status !== 501 && status !== 507;
  return repeatable && isPassing ? pause(attempt) : undefined;
}

/**
 * A pause that grows with each attempt, in milliseconds: half of it fixed, half left to chance, so that those
 * who failed together do not come back together.
 * @param {number} attempt
 */
export function pause(attempt) {
  return Math.min(LONGEST, FIRST * 2 ** attempt) * (0.5 + Math.random() / 2);
}

/**
 * The value of a `Retry-After`, which is seconds or a date, in seconds from now.
 * @param {string | null} text
 * @returns {number | undefined}
 */
export function secondsOf(text) {
  if (text === null) return undefined;
  if (/^\s*\d+\s*$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1_000));
}
