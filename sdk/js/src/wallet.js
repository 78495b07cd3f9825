/**
 * Tokens that a wallet signs: a JWT whose algorithm is `EIP191`, the wallet's `personal_sign` over the ASCII
 * text `header.payload`. It is made when it is first needed, and made anew before it expires.
 */

import { abortable } from './abort.js';
import { randomId } from './random.js';

/** The longest that a token lasts, in seconds. */
const LONGEST = 3_600;
/** A token with less than this left is not shown any more, in seconds; of short-lived ones a tenth. */
const MARGIN = 60;

export class Wallet {
  #signer;
  #audience;
  #lifetime;
  /** @type {{ token: string, until: number } | undefined} */
  #current;
  /** @type {Promise<string> | undefined} */
  #pending;

  /**
   * @param {import('../types/index.js').Signer} signer
   * @param {{ audience?: string, lifetime?: number }} [options]
   */
  constructor(signer, { audience = 'innkeeper', lifetime = LONGEST } = {}) {
    if (typeof signer?.signMessage !== 'function') throw new TypeError('the signer has no signMessage');
    if (!(lifetime >= 1 && lifetime <= LONGEST)) {
      throw new TypeError(`tokenLifetime is a number of seconds, ${LONGEST} at the most`);
    }
    this.#signer = signer;
    this.#audience = audience;
    this.#lifetime = Math.floor(lifetime);
  }

  /**
   * A token that is good. Those who ask at the same time get the same: a wallet may ask its owner.
   * @param {AbortSignal} [signal] ends the waiting; the wallet is left to it
   * @returns {Promise<import('./credential.js').Shown>}
   */
  async show(signal) {
    if (this.#current !== undefined && now() < this.#current.until) {
      return { token: this.#current.token, renewable: true };
    }
    this.#pending ??= this.#sign().finally(() => {
      this.#pending = undefined;
    });
    return { token: await abortable(this.#pending, signal), renewable: false };
  }

  /** @param {string} token one that was refused */
  forget(token) {
    if (this.#current?.token === token) this.#current = undefined;
  }

  async #sign() {
    const issued = now();
    const expires = issued + this.#lifetime;
    const address = await addressOf(this.#signer);
    const claims = { iss: address, aud: this.#audience, iat: issued, nbf: issued, exp: expires, jti: randomId() };
    const token = await signed(this.#signer, claims);
    this.#current = { token, until: expires - Math.min(MARGIN, this.#lifetime / 10) };
    return token;
  }
}

/**
 * The token that says these claims.
 * @param {import('../types/index.js').Signer} signer
 * @param {object} claims
 */
export async function signed(signer, claims) {
  const text = [{ alg: 'EIP191', typ: 'JWT' }, claims].map((part) => base64url(utf8(part))).join('.');
  const signature = await sign(signer, text);
  if (!/^0x[0-9a-f]{130}$/i.test(signature)) {
    throw new TypeError('the signer returns no signature of an account: 65 bytes, in hexadecimal digits');
  }
  return `${text}.${base64url(bytesOf(signature.slice(2)))}`;
}

/**
 * The account that signs: of an ethers signer, a viem account, or a viem client for a browser's wallet.
 * @param {any} signer
 */
async function addressOf(signer) {
  const address = signer.address ?? signer.account?.address ?? (await signer.getAddress?.());
  if (!/^0x[0-9a-f]{40}$/i.test(address)) throw new TypeError('the signer has no address');
  return address;
}

/**
 * viem wants the message in an object, and says of each of its signers of which type it is; all others want
 * the message.
 * @param {any} signer
 * @param {string} message
 */
function sign(signer, message) {
  if (typeof signer.type !== 'string') return signer.signMessage(message);
  return signer.signMessage(signer.account === undefined ? { message } : { account: signer.account, message });
}

function now() {
  return Math.floor(Date.now() / 1_000);
}

/** @param {unknown} value */
function utf8(value) {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** @param {string} hex */
function bytesOf(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
