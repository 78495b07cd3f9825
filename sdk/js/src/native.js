/**
 * The native API: a method for each of its operations, from its OpenAPI document, and its feed.
 *
 * What an operation takes and answers is in its type; here is only how it is sent.
 */

import { credentialOf } from './credential.js';
import { follow } from './follow.js';
import { operations } from './generated/operations.js';
import { randomId } from './random.js';
import { Transport } from './transport.js';

/**
 * @typedef {object} Operation
 * @property {string} method
 * @property {string} path
 * @property {string} [body] its type, where there is one
 * @property {'json' | 'events' | 'response'} answer
 * @property {boolean} [keyed] whether it takes an `Idempotency-Key`
 *
 * @typedef {object} Arguments
 * @property {Record<string, unknown>} [path]
 * @property {Record<string, unknown>} [query]
 * @property {Record<string, string | null | undefined>} [header]
 * @property {unknown} [body]
 */

/** What ends the stream of a task: one that was interrupted may yet be resumed. */
const ENDED = ['done', 'failed', 'cancelled'];

export class NativeClient {
  #transport;

  /** @param {import('../types/native.js').NativeOptions | Transport} options */
  constructor(options) {
    const isTransport = options instanceof Transport;
    this.#transport = isTransport ? options : new Transport(options.baseUrl, credentialOf(options), options);
  }

  /**
   * @param {import('../types/native.js').EventOptions} [options]
   * @returns {AsyncGenerator<import('../types/native.js').FeedEvent, void, undefined>}
   */
  async *events({ since, kinds, vm, ...options } = {}) {
    const query = { kind: kinds?.join(','), vm };
    let isReady = false;
    for await (const event of this.#follow(operations.followEvents, { query }, { ...options, since })) {
      // Each time it is asked again the service says first where it goes on; callers were there already.
      if (event.type === 'ready' && isReady) continue;
      isReady = true;
      yield event;
    }
  }

  /**
   * Does one operation.
   * @param {Operation} operation
   * @param {Arguments} [given]
   * @param {import('../types/index.js').RequestOptions} [options]
   */
  #perform(operation, given = {}, options = {}) {
    if (operation.answer !== 'events') return this.#ask(operation, given, options);
    return this.#follow(operation, given, { ...options, isLast: isLastOfTask });
  }

  /**
   * @param {Operation} operation
   * @param {Arguments} given
   * @param {import('../types/index.js').RequestOptions} options
   */
  async #ask(operation, given, options) {
    const asked = request(operation, given);
    return operation.answer === 'json' ? this.#transport.json(asked, options) : this.#transport.response(asked, options);
  }

  /**
   * @param {Operation} operation
   * @param {Arguments} given
   * @param {Parameters<typeof follow>[2]} options
   */
  #follow(operation, given, options) {
    return follow(this.#transport, request(operation, given), options);
  }

  static {
    for (const [name, operation] of Object.entries(operations)) {
      /**
       * @this {NativeClient}
       * @param {Arguments} [given]
       * @param {import('../types/index.js').RequestOptions} [options]
       */
      const value = function (given, options) {
        return this.#perform(operation, given, options);
      };
      Object.defineProperty(NativeClient.prototype, name, { value });
    }
  }
}

/** @param {{ type: string, task?: { state: string } }} event */
function isLastOfTask({ type, task }) {
  return type === 'task' && task !== undefined && ENDED.includes(task.state);
}

/**
 * @param {Operation} operation
 * @param {Arguments} given
 * @returns {import('./transport.js').Request}
 */
function request({ method, path, body: type, keyed }, { path: parts = {}, query, header = {}, body }) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => {
    const part = parts[name];
    // An empty one would be another path.
    if (part === undefined || part === null || part === '') throw new TypeError(`path.${name} is missing`);
    const text = String(part);
    // So would these, which are no part of a path, however they are encoded.
    if (text === '.' || text === '..') throw new TypeError(`path.${name} cannot be ${text}`);
    return encodeURIComponent(text);
  });
  const given = Object.entries(header).filter(([, value]) => value !== undefined && value !== null);
  /** @type {Record<string, any>} */
  const headers = Object.fromEntries(given);
  // With a key a request is done once however often it is sent, so that it can be sent again.
  if (keyed && headers['Idempotency-Key'] === undefined) headers['Idempotency-Key'] = randomId();
  const repeatable = keyed === true || method === 'GET' || method === 'HEAD';
  if (type === undefined || body === undefined) return { method, path: filled, query, headers, repeatable };
  headers['Content-Type'] = type;
  const written = /** @type {RequestInit['body']} */ (type.endsWith('json') ? JSON.stringify(body) : body);
  return { method, path: filled, query, headers, body: written, repeatable };
}
