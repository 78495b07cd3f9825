/**
 * What a caller is known by: a token that it was given, or one that its wallet signs.
 *
 * @typedef {object} Shown
 * @property {string} token
 * @property {boolean} renewable whether another can be had in its place, and this one was not just made
 *
 * @typedef {object} Credential
 * @property {(signal?: AbortSignal) => Promise<Shown | undefined>} show
 * @property {(token: string) => void} forget
 */

import { Wallet } from './wallet.js';

/**
 * @param {import('../types/index.js').Options} options
 * @returns {Credential}
 */
export function credentialOf({ apiKey, signer, audience, tokenLifetime }) {
  if (apiKey !== undefined && signer !== undefined) {
    throw new TypeError('an apiKey or a signer, and not both');
  }
  if (signer !== undefined) return new Wallet(signer, { audience, lifetime: tokenLifetime });
  if (apiKey === undefined) return { show: async () => undefined, forget: () => {} };
  // What a file of a token ends with belongs in no header.
  const token = apiKey.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError('the apiKey is not a token');
  return { show: async () => ({ token, renewable: false }), forget: () => {} };
}
