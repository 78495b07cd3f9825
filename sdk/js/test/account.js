// An account of Ethereum's, as viem has it: `personal_sign`, which is Keccak-256 of a prefix and the text.

import { secp256k1 } from '@noble/curves/secp256k1';
import { keccak_256 } from '@noble/hashes/sha3';

/** The account of a key. */
export function accountOf(key) {
  const secret = Buffer.from(key.slice(2), 'hex');
  const address = addressOf(secp256k1.ProjectivePoint.fromPrivateKey(secret));
  async function signMessage({ message }) {
    const signature = secp256k1.sign(hashOf(message), secret);
    const v = (27 + signature.recovery).toString(16);
    return `0x${signature.toCompactHex()}${v}`;
  }
  return { type: 'local', address, signMessage };
}

/** Whose signature this is of a text. */
export function signerOf(message, signature) {
  const { r, s } = secp256k1.Signature.fromCompact(signature.subarray(0, 64));
  const recoverable = new secp256k1.Signature(r, s, signature[64] - 27);
  return addressOf(recoverable.recoverPublicKey(hashOf(message)));
}

function hashOf(message) {
  const text = Buffer.from(message);
  return keccak_256(Buffer.concat([Buffer.from(`\x19Ethereum Signed Message:\n${text.length}`), text]));
}

/** The address of a key's point, in small letters. */
function addressOf(point) {
  const hash = keccak_256(point.toRawBytes(false).subarray(1));
  return `0x${Buffer.from(hash.subarray(12)).toString('hex')}`;
}
