/**
 * Requests on their way: with a credential, within a time, and again where that is safe.
 */

import { abortable, linked, sleep } from './abort.js';
import { AuthenticationError, ConnectionError, FormationError, TimeoutError } from './errors.js';
import { refusalOf } from './refusal.js';
import { pauseBefore } from './retry.js';

/**
 * @typedef {object} Request
 * @property {string} method
 * @property {string} path
 * @property {Record<string, unknown>} [query] what is `undefined` or `null` is left out
 * @property {Record<string, string>} [headers]
 * @property {RequestInit['body']} [body]
 * @property {boolean} [repeatable] whether it does no harm to send it twice
 * @property {boolean} [anonymous] whether it needs no credential
 */

export class Transport {
  #base;
  #credential;
  #fetch;
  #timeout;
  #retries;

  /**
   * @param {string} baseUrl
   * @param {import('./credential.js').Credential} credential
   * @param {Pick<import('../types/index.js').Options, 'fetch' | 'timeout' | 'retries'>} options
   */
  constructor(baseUrl, credential, { fetch = globalThis.fetch, timeout = 60_000, retries = 2 }) {
    this.#base = base(baseUrl);
    this.#credential = credential;
    this.#fetch = fetch;
    this.#timeout = timeout;
    this.#retries = retries;
  }

  /**
   * The answer's document; `undefined` where it has none.
   * @param {Request} request
   * @param {import('../types/index.js').RequestOptions} [options]
   * @returns {Promise<any>}
   */
  async json(request, options = {}) {
    return this.#send(request, options, async (response) => {
      const text = await response.text();
      if (text === '') return undefined;
      try {
        return JSON.parse(text);
      } catch (cause) {
        throw new FormationError(`what answers at ${this.#base} does not answer in JSON`, { cause });
      }
    });
  }

  /**
   * The answer as soon as its head is there. The time is that of the head alone; the signal ends its body, too.
   * @param {Request} request
   * @param {import('../types/index.js').RequestOptions} [options]
   * @returns {Promise<Response>}
   */
  async response(request, options = {}) {
    return this.#send(request, options, undefined);
  }

  /**
   * @param {Request} request
   * @param {import('../types/index.js').RequestOptions} options
   * @param {((response: Response) => Promise<any>) | undefined} read
   */
  async #send(request, options, read) {
    const { signal, retries = this.#retries } = options;
    let renewed = false;
    for (let attempt = 0; ; ) {
      signal?.throwIfAborted();
      const shown = request.anonymous ? undefined : await this.#credential.show(signal);
      try {
        return await this.#attempt(request, shown?.token, options, read);
      } catch (error) {
        // A token that was good may have been revoked; whoever has a wallet has another.
        const isStale = error instanceof AuthenticationError && shown?.renewable && !renewed;
        if (isStale) this.#credential.forget(shown.token);
        // A stream has been read by now, whatever came of it, and cannot be sent a second time.
        if (isStream(request.body)) throw error;
        if (isStale) {
          renewed = true;
          continue;
        }
        const pause = attempt < retries ? pauseBefore(error, attempt, request.repeatable === true) : undefined;
        if (pause === undefined) throw error;
        attempt += 1;
        await sleep(pause, signal);
      }
    }
  }

  /**
   * @param {Request} request
   * @param {string | undefined} token
   * @param {import('../types/index.js').RequestOptions} options
   * @param {((response: Response) => Promise<any>) | undefined} read
   */
  async #attempt(request, token, { signal, timeout = this.#timeout }, read) {
    const { controller, release } = linked(signal);
    const late = new TimeoutError(`${request.path} was not answered within ${timeout} ms`);
    // A timer takes no more than 31 bits, and what is longer is at once.
    const timer = timeout < 2 ** 31 ? setTimeout(() => controller.abort(late), timeout) : undefined;
    let reading = false;
    try {
      // Node's `fetch` may forget the signal once an answer has begun, so it is not left to that alone.
      const answer = await abortable(this.#exchange(request, token, controller.signal, read), controller.signal);
      // For as long as somebody may read on, the signal is to end it.
      reading = read === undefined;
      return answer;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (controller.signal.aborted) throw late;
      if (error instanceof FormationError) throw error;
      throw new ConnectionError(`cannot reach ${this.#base}: ${reasonOf(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      if (!reading) release();
    }
  }

  /**
   * @param {Request} request
   * @param {string | undefined} token
   * @param {AbortSignal} signal
   * @param {((response: Response) => Promise<any>) | undefined} read
   */
  async #exchange(request, token, signal, read) {
    // Called as a function: a browser's own refuses to be a method of something else.
    const fetch = this.#fetch;
    const response = await fetch(this.#url(request), init(request, token, signal));
    if (!response.ok) throw await refusalOf(response);
    return read === undefined ? response : read(response);
  }

  /** @param {Request} request */
  #url({ path, query = {} }) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    const pairs = given.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
    return `${this.#base}${path}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`;
  }
}

/**
 * The address that paths are put behind.
 * @param {string} text
 */
function base(text) {
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol) || url.search || url.hash || url.username || url.password) {
    throw new TypeError(`${text} is not the address of a service: http://host:port or https://host`);
  }
  return url.href.replace(/\/+$/, '');
}

/**
 * @param {Request} request
 * @param {string | undefined} token
 * @param {AbortSignal} signal
 * @returns {RequestInit}
 */
function init({ method, headers, body }, token, signal) {
  /** @type {Record<string, string>} */
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  return {
    method,
    headers: { ...headers, ...authorization },
    signal,
    // The service sends nobody elsewhere; whoever does is not to be shown what is sent here.
    redirect: 'error',
    credentials: 'omit',
    cache: 'no-store',
    // A body that is a stream cannot be sent otherwise.
    ...(body === undefined ? {} : { body, ...(isStream(body) ? { duplex: 'half' } : {}) }),
  };
}

/** @param {unknown} body */
function isStream(body) {
  return typeof ReadableStream !== 'undefined' && body instanceof ReadableStream;
}

/**
 * Why a request failed: Node's own error says no more than that it did.
 * @param {any} error
 */
function reasonOf(error) {
  return error?.cause?.message || error?.cause?.code || error?.message || String(error);
}
