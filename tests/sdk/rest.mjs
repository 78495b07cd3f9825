// What the example does not show, against the daemon and the guest that the example left: run by sdk.rs.

import assert from 'node:assert/strict';
import Formation, * as sdk from 'formation-sdk';

const apiKey = process.env.TOKEN;
const formation = new Formation({ apiKey });
const { vm } = formation;
const signal = AbortSignal.timeout(300_000);

assert.equal(await formation.health(), 'healthy');
assert.equal((await formation.ping()).message, 'pong');

const [guest, ...others] = await vm.list();
assert.deepEqual(others, []);
assert.deepEqual(guest, await vm.getInfo(guest.buildId));
assert.deepEqual([guest.name, guest.state, guest.owner], ['web-server', 'running', 'me']);

// Each refusal is an error of its class, with what the service said.
async function refused(call, kind, status, words) {
  const error = await call.then(() => assert.fail(`${kind.name} is missing`), (error) => error);
  assert(error instanceof kind, String(error));
  assert.deepEqual([error.constructor, error.status], [kind, status], String(error));
  assert.match(error.message, words);
  assert.match(error.requestId, /./);
}
const foreign = (url, init) => fetch(url, { ...init, headers: { ...init.headers, Origin: 'http://elsewhere.example' } });
const away = '00000000-0000-4000-8000-000000000000';
await refused(vm.boot(guest), sdk.ConflictError, 409, /booted before/);
await refused(vm.getInfo(away), sdk.NotFoundError, 404, /VM/);
await refused(vm.list({ owner: 'somebody-else' }), sdk.PermissionError, 403, /owner/);
await refused(vm.getInfo(guest, { owner: 'somebody-else' }), sdk.PermissionError, 403, /owner/);
await refused(vm.create({ name: 'not a name' }), sdk.InvalidRequestError, 400, /name/);
await refused(vm.snapshot(guest), sdk.UnsupportedError, 501, /not possible yet/);
await refused(new Formation({ apiKey: 'another' }).vm.list(), sdk.AuthenticationError, 401, /./);
await refused(new Formation().vm.list(), sdk.AuthenticationError, 401, /./);
await refused(new Formation({ apiKey, fetch: foreign }).vm.list(), sdk.PermissionError, 403, /origin/);
await refused(formation.native.getVm({ path: { vm: away } }), sdk.NotFoundError, 404, /VM/);

// The feed tells of what the door does.
const events = formation.events({ kinds: ['vm'], vm: guest.buildId, signal });
const first = (await events.next()).value;
assert.equal(first.type, 'ready');
const stopped = await vm.stop(guest);
assert.equal((await vm.waitForTask(stopped, { signal })).state, 'done');
assert.equal((await vm.getInfo(guest)).state, 'stopped');
for await (const event of events) {
  assert.deepEqual([event.type, event.kind, event.id], ['change', 'vm', guest.buildId]);
  const changes = event.changes ?? [];
  if (changes.some((change) => change.path.join() === 'state' && change.new === 'stopped')) break;
}
// And again, from where it had begun.
const again = formation.events({ since: first.position, vm: guest.buildId, signal });
assert.equal((await again.next()).value.type, 'ready');
assert.equal((await again.next()).value.type, 'change');
await again.return();

await vm.start(guest);
const started = await formation.native.getVm({ path: { vm: guest.buildId } });
assert.deepEqual([started.name, started.state], ['web-server', 'running']);
await vm.stop(guest, { force: true });
await vm.delete(guest);
assert.deepEqual(await vm.list(), []);
await refused(vm.start(guest), sdk.NotFoundError, 404, /VM/);

console.log('all is as it should be');
