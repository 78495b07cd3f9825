/**
 * The way in: a service, and who calls it.
 */

import { credentialOf } from './credential.js';
import { NativeClient } from './native.js';
import { Transport } from './transport.js';
import { Vms } from './vm.js';

const DEFAULT_URL = 'http://127.0.0.1:3002';
const DEFAULT_NATIVE_URL = 'http://127.0.0.1:7100';

export class Formation {
  #transport;

  /** @param {import('../types/index.js').Options} [options] */
  constructor(options = {}) {
    const credential = credentialOf(options);
    const baseUrl = options.baseUrl ?? fromEnvironment('FORMATION_API_URL') ?? DEFAULT_URL;
    const nativeUrl = options.nativeUrl ?? fromEnvironment('FORMATION_NATIVE_URL') ?? DEFAULT_NATIVE_URL;
    this.#transport = new Transport(baseUrl, credential, options);
    this.vm = new Vms(this.#transport);
    const native = new NativeClient(new Transport(nativeUrl, credential, options));
    // Its operations are in its declaration alone.
    this.native = /** @type {import('../types/native.js').NativeClient} */ (/** @type {unknown} */ (native));
  }

  /**
   * @param {import('../types/index.js').RequestOptions} [options]
   * @returns {Promise<string>}
   */
  health(options) {
    return this.#transport.json({ method: 'GET', path: '/health', repeatable: true, anonymous: true }, options);
  }

  /**
   * @param {import('../types/index.js').RequestOptions} [options]
   * @returns {Promise<import('../types/index.js').Pong>}
   */
  ping(options) {
    const headers = { 'Content-Type': 'application/json' };
    const body = JSON.stringify({ message: 'ping' });
    return this.#transport.json({ method: 'POST', path: '/ping', headers, body, repeatable: true }, options);
  }

  /**
   * @param {import('../types/native.js').EventOptions} [options]
   * @returns {AsyncGenerator<import('../types/native.js').FeedEvent, void, undefined>}
   */
  events(options) {
    return this.native.events(options);
  }
}

/**
 * A variable of the environment, where there is one: a browser has none.
 * @param {string} name
 * @returns {string | undefined}
 */
function fromEnvironment(name) {
  const value = /** @type {any} */ (globalThis).process?.env?.[name];
  return value === '' ? undefined : value;
}
