import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Formation } from 'formation-sdk';
import { Transport } from '../src/transport.js';
import { Wallet, signed } from '../src/wallet.js';
import { accountOf, signerOf } from './account.js';
import { DONE, failure, serving } from './server.js';

// The first account of the mnemonic that all tools for tests have, "test test test … junk".
const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const ADDRESS = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const account = accountOf(KEY);

/** The claims of a token that was shown. */
function claims(authorization) {
  const [, payload] = authorization.replace('Bearer ', '').split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString());
}

test('a token of a known key is this one, byte for byte', async () => {
  const said = { iss: ADDRESS, aud: 'innkeeper', iat: 1700000000, nbf: 1700000000, exp: 1700003600, jti: '00' };
  const token = await signed(account, said);
  // Written down from what viem 2.57 signs.
  assert.deepEqual(token.split('.'), [
    'eyJhbGciOiJFSVAxOTEiLCJ0eXAiOiJKV1QifQ',
    'eyJpc3MiOiIweGYzOUZkNmU1MWFhZDg4RjZGNGNlNmFCODgyNzI3OWNmZkZiOTIyNjYiLCJhdWQiOiJpbm5rZWVwZXIiLCJpYXQiOjE3MDAwMDAwMDAsIm5iZiI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwLCJqdGkiOiIwMCJ9',
    'BdvPsVLwKtpNLN71Ds0bUelszVkx6x7vpquPudymrxQASBUF0F2Ql89V5KotKe07Nao2hnirEuM2V730eOuAYxw',
  ]);
  const [header, payload, signature] = token.split('.');
  assert.equal(Buffer.from(header, 'base64url').toString(), '{"alg":"EIP191","typ":"JWT"}');
  assert.deepEqual(JSON.parse(Buffer.from(payload, 'base64url').toString()), said);
  assert.equal(Buffer.from(signature, 'base64url').length, 65);
});

test('the token is signed by the wallet, for the audience, and for an hour at the most', async () => {
  const { url, asked } = await serving(DONE);
  const { vm } = new Formation({ baseUrl: url, signer: account, audience: 'the door' });
  await vm.start('b-1');
  const { authorization } = asked[0].headers;
  const { iss, aud, iat, nbf, exp, jti } = claims(authorization);
  assert.deepEqual([iss, aud, nbf, exp], [account.address, 'the door', iat, iat + 3_600]);
  assert(Math.abs(iat - Date.now() / 1_000) < 5);
  assert.match(jti, /^[0-9a-f]{32}$/);
  const [header, payload, signature] = authorization.replace('Bearer ', '').split('.');
  assert.equal(signerOf(`${header}.${payload}`, Buffer.from(signature, 'base64url')), ADDRESS.toLowerCase());
});

test('wallets of every kind are asked as they want to be', async () => {
  const asked = [];
  const signMessage = async (...parameters) => {
    asked.push(parameters);
    return account.signMessage(typeof parameters[0] === 'string' ? { message: parameters[0] } : parameters[0]);
  };
  const client = { address: ADDRESS };
  for (const [signer, wants] of [
    [{ address: ADDRESS, signMessage }, (message) => message],
    [{ getAddress: async () => ADDRESS, signMessage }, (message) => message],
    [{ type: 'local', address: ADDRESS, signMessage }, (message) => ({ message })],
    [{ type: 'walletClient', account: client, signMessage }, (message) => ({ account: client, message })],
  ]) {
    const { token } = await new Wallet(signer).show();
    assert.deepEqual(asked.pop(), [wants(token.slice(0, token.lastIndexOf('.')))]);
  }
});

test('a wallet is asked once for all who wait, and again before its token expires', async (context) => {
  let signatures = 0;
  const signMessage = async (message) => {
    signatures += 1;
    return account.signMessage({ message });
  };
  const wallet = new Wallet({ address: ADDRESS, signMessage }, { lifetime: 600 });
  let now = Date.now();
  context.mock.method(Date, 'now', () => now);
  const [one, other] = await Promise.all([wallet.show(), wallet.show()]);
  assert.equal(one.token, other.token);
  now += 539_000;
  assert.equal((await wallet.show()).token, one.token);
  assert.equal(signatures, 1);
  now += 2_000;
  assert.notEqual((await wallet.show()).token, one.token);
  assert.equal(signatures, 2);
});

test('a token that is no longer taken is made anew, once', async () => {
  const { url, asked } = await serving(DONE, failure(401), DONE, failure(401));
  const { vm } = new Formation({ baseUrl: url, signer: account });
  await vm.start('b-1');
  await vm.start('b-1');
  const shown = asked.map(({ headers }) => claims(headers.authorization).jti);
  assert.equal(shown.length, 3);
  assert(shown[0] === shown[1] && shown[1] !== shown[2]);
  await assert.rejects(vm.start('b-1'), { name: 'AuthenticationError' });
  assert.equal(asked.length, 5);
  // Nobody's wallet is asked a second time for what was refused a moment ago.
  const anew = new Formation({ baseUrl: url, signer: account });
  await assert.rejects(anew.vm.start('b-1'), { name: 'AuthenticationError' });
  assert.equal(asked.length, 6);
});

test('a service that takes no token at all is not asked for ever', async () => {
  const { url, asked } = await serving(failure(401));
  const forgotten = [];
  const credential = {
    show: async () => ({ token: 'shared', renewable: true }),
    forget: (token) => forgotten.push(token),
  };
  await assert.rejects(new Transport(url, credential, {}).json({ method: 'GET', path: '/' }), { name: 'AuthenticationError' });
  assert.deepEqual([asked.length, forgotten], [2, ['shared']]);
});

test('a wallet that will not, or cannot, is said to be one; and is asked again', async () => {
  let answer = async () => {
    throw new Error('the user refused');
  };
  const signer = { address: ADDRESS, signMessage: (message) => answer(message) };
  const { url, asked } = await serving(DONE);
  const { vm } = new Formation({ baseUrl: url, signer });
  await assert.rejects(vm.start('b-1'), { message: 'the user refused' });
  answer = async () => `0x${'00'.repeat(64)}`;
  await assert.rejects(vm.start('b-1'), /65 bytes/);
  const never = new Formation({ baseUrl: url, signer: { address: ADDRESS, signMessage: () => new Promise(() => {}) } });
  await assert.rejects(never.vm.start('b-1', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
  assert.equal(asked.length, 0);
  answer = (message) => account.signMessage({ message });
  assert.equal((await vm.start('b-1')).success, true);
});
