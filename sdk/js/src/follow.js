/**
 * A stream of the native API that goes on: over again where it broke off, from where it had come to.
 */

import { abortable, linked, sleep } from './abort.js';
import { ApiError, ConnectionError, TimeoutError } from './errors.js';
import { PATIENCE, pause } from './retry.js';
import { messages } from './sse.js';

/** A stream that is silent for longer is broken, in milliseconds: the service says something every 15 s. */
const SILENCE = 45_000;
/** How often in a row it may break before anything comes, where the caller does not say: about a minute. */
const RETRIES = 10;

/**
 * The documents of a stream's events.
 * @param {import('./transport.js').Transport} transport
 * @param {import('./transport.js').Request} request
 * @param {object} options
 * @param {AbortSignal} [options.signal]
 * @param {number} [options.timeout] for an answer's head, in milliseconds
 * @param {number} [options.retries]
 * @param {number} [options.silence]
 * @param {string} [options.since] a position
 * @param {(value: any) => boolean} [options.isLast]
 * @returns {AsyncGenerator<any, void, undefined>}
 */
export async function* follow(transport, request, options) {
  const { signal, timeout, retries = RETRIES, silence = SILENCE, isLast = () => false } = options;
  let position = options.since;
  for (let failures = 0; ; failures += 1) {
    const { controller, release } = linked(signal);
    /** @type {unknown} */
    let failure = new ConnectionError('the stream of events ended');
    try {
      const headers = { ...request.headers, Accept: 'text/event-stream', ...from(position) };
      const asked = { signal: controller.signal, timeout, retries: 0 };
      const { body } = await transport.response({ ...request, headers }, asked);
      for await (const { id, data } of messages(chunks(body, silence, signal))) {
        failures = 0;
        position = id ?? position;
        if (data === undefined) continue;
        const value = JSON.parse(data);
        yield value;
        if (isLast(value)) return;
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      failure = error;
    } finally {
      release();
      controller.abort();
    }
    const again = failures < retries ? pauseAfter(failure, failures) : undefined;
    if (again === undefined) throw failure;
    await sleep(again, signal);
  }
}

/**
 * @param {string | undefined} position
 * @returns {Record<string, string>}
 */
function from(position) {
  return position === undefined ? {} : { 'Last-Event-ID': position };
}

/**
 * How long to wait before a stream is asked for again; `undefined` where that is no use.
 * @param {unknown} error
 * @param {number} failures
 */
function pauseAfter(error, failures) {
  if (error instanceof ApiError) {
    const { status, retryAfter = 0 } = error;
    const isPassing = status === 429 || (status >= 500 && status !== 501);
    if (!isPassing || retryAfter > PATIENCE) return undefined;
    return Math.max(pause(failures), retryAfter * 1_000);
  }
  return error instanceof ConnectionError || error instanceof TimeoutError ? pause(failures) : undefined;
}

/**
 * What comes of a body, for as long as it is read. (In not all browsers can it be iterated over as it is.)
 *
 * The signal is listened to here: Node's `fetch` forgets the one that it was given as soon as nobody holds the
 * request any more, and a body that is silent would then be waited for for ever.
 * @param {ReadableStream<Uint8Array> | null} body
 * @param {number} silence
 * @param {AbortSignal | undefined} signal
 * @returns {AsyncGenerator<Uint8Array, void, undefined>}
 */
async function* chunks(body, silence, signal) {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await abortable(withinSilence(reader.read(), silence), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // Whoever stops reading hangs up; what is broken already cannot be.
    reader.cancel().catch(() => {});
  }
}

/**
 * @template T
 * @param {Promise<T>} reading
 * @param {number} silence
 * @returns {Promise<T>}
 */
async function withinSilence(reading, silence) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {Promise<never>} */
  const silent = new Promise((_, reject) => {
    const late = new TimeoutError(`nothing came for ${silence} ms`);
    timer = setTimeout(() => reject(late), silence);
  });
  try {
    return await Promise.race([reading, silent]);
  } catch (error) {
    throw error instanceof TimeoutError ? error : new ConnectionError('the stream of events broke off', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
