/**
 * Names that nobody else chooses.
 */

/**
 * 128 random bits, in hexadecimal digits. It names a token or a request and is no secret: where there is no
 * generator for secrets (Node 18), another will do.
 */
export function randomId() {
  const bytes = new Uint8Array(16);
  if (globalThis.crypto?.getRandomValues) {
    globalThis.crypto.getRandomValues(bytes);
  } else {
    bytes.forEach((_, at) => {
      bytes[at] = Math.floor(Math.random() * 256);
    });
  }
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
