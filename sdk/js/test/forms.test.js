// The package as its users get it: by `require`, by `import`, and by the example that they read first.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import * as module from 'formation-sdk';
import * as nativeModule from 'formation-sdk/native';
import { translated } from '../scripts/commonjs.js';
import { serving } from './server.js';

const require = createRequire(import.meta.url);

test('what is required is the class, with all that can be imported', () => {
  const Formation = require('formation-sdk');
  assert.equal(typeof Formation, 'function');
  assert.equal(Formation.name, 'Formation');
  assert.deepEqual(Object.keys(Formation).sort(), Object.keys(module).sort());
  assert.equal(Formation.default, Formation);
  assert.equal(Formation.Formation, Formation);
  assert.equal(module.default, module.Formation);
  assert.deepEqual(Object.keys(require('formation-sdk/native')), Object.keys(nativeModule));
  assert.equal(require('formation-sdk/native').NativeClient, Formation.NativeClient);
});

test('the example works in both forms', async () => {
  for (const Formation of [require('formation-sdk'), module.default]) {
    const { url, asked } = await serving([200, { success: true, vm_id: 'b-1', message: 'm', task_id: 't' }]);
    process.env.FORMATION_API_URL = url;
    const [example] = readFileSync(new URL('../README.md', import.meta.url), 'utf8').match(/(?<=```javascript\n)[^]*?(?=```)/);
    const body = example.replace("const Formation = require('formation-sdk');", '');
    assert.notEqual(body, example);
    const shown = [];
    const AsyncFunction = (async () => {}).constructor;
    await new AsyncFunction('Formation', 'console', body)(Formation, { log: (info) => shown.push(info) });
    delete process.env.FORMATION_API_URL;
    assert.deepEqual(asked.map(({ url }) => url), ['/vm/create', '/vm/start', '/vm/info']);
    assert.deepEqual(asked[1].body, { build_id: 'b-1' });
    assert.equal(shown.length, 1);
  }
});

test('an error of one form is no accident in the other', async () => {
  const Formation = require('formation-sdk');
  const { url } = await serving([404, { success: false, message: 'none' }]);
  const { vm } = new Formation({ baseUrl: url });
  await assert.rejects(vm.start('b-1'), (error) => error instanceof Formation.NotFoundError && error.status === 404);
});

test('every file that the package names is one that it has', () => {
  const root = new URL('../', import.meta.url);
  const { exports, files, main, module, types } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  const named = [main, module, types, ...JSON.stringify(exports).match(/\.\/[\w./-]+\.\w+/g)];
  for (const name of named.filter((name) => name !== './package.json')) {
    assert(existsSync(new URL(name, root)), name);
    assert(files.includes(name.split('/')[1]), name);
  }
});

test('what cannot be translated is refused', () => {
  assert.throws(() => translated("import * as all from './all.js';\n"), /cannot|not a form/);
  assert.throws(() => translated('export default 1;\n'), /not a form/);
});
