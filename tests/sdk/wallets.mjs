// Callers who are wallets, against a daemon of simulated machines that lets all of them in: run by sdk.rs.

import assert from 'node:assert/strict';
import Formation, * as sdk from '../../sdk/js/src/index.js';
import { accountOf } from '../../sdk/js/test/account.js';

const accounts = ['11', '22'].map((byte) => accountOf(`0x${byte.repeat(32)}`));
const [one, other] = accounts.map((signer) => new Formation({ signer }));
const [mine, theirs] = accounts.map(({ address }) => address);
const signal = AbortSignal.timeout(120_000);

const machine = { rootfs: 'blank', memSizeMib: 64 };
const vm = await one.vm.create({ name: 'web', ...machine });
const { owner, state } = await one.vm.getInfo(vm);
assert.deepEqual([owner, state], [mine, 'stopped']);
await one.vm.waitForTask(await one.vm.start(vm), { signal });

// Another's is as good as none.
const is = (kind) => (error) => error.constructor === kind || assert.fail(String(error));
assert.deepEqual(await other.vm.list(), []);
await assert.rejects(other.vm.getInfo(vm), is(sdk.NotFoundError));
await assert.rejects(other.vm.stop(vm, { force: true }), is(sdk.NotFoundError));
await assert.rejects(one.vm.create({ name: 'db', owner: theirs, ...machine }), is(sdk.PermissionError));

// A token for somebody else, and one of an account that did not sign it.
const elsewhere = new Formation({ signer: accounts[0], audience: 'elsewhere' });
await assert.rejects(elsewhere.vm.list(), is(sdk.AuthenticationError));
const pretender = new Formation({ signer: { ...accounts[1], address: mine } });
await assert.rejects(pretender.vm.list(), is(sdk.AuthenticationError));

// What a wallet signed does as a key, too.
let shown;
const kept = (url, init) => {
  shown = new Headers(init.headers).get('authorization');
  return fetch(url, init);
};
await new Formation({ signer: accounts[0], fetch: kept }).vm.list();
const byKey = new Formation({ apiKey: shown.replace('Bearer ', '') });
assert.deepEqual((await byKey.vm.list()).map(({ buildId }) => buildId), [vm.buildId]);

// What changes a VM, and its end.
const { deviceId } = await one.vm.addDevice(vm, { network: 'user' });
const removed = await one.vm.removeDevice(vm, deviceId);
await one.vm.waitForTask(removed, { signal });
await one.vm.waitForTask(await one.vm.stop(vm, { force: true }), { signal });

// Who asks too often is told so, or waits as long as it takes.
const asked = Array.from({ length: 60 }, () => other.vm.list({ retries: 0 }).catch((error) => error));
const refused = (await Promise.all(asked)).filter((answer) => answer instanceof Error);
assert(refused.length > 0, 'nobody was refused');
for (const error of refused) {
  assert(is(sdk.RateLimitError)(error));
  assert(error.retryAfter >= 1, `${error.retryAfter}`);
}
assert.deepEqual(await other.vm.list(), []);

await one.vm.delete(vm);
assert.deepEqual(await one.vm.list(), []);
console.log('all is as it should be');
