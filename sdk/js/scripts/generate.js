// Writes src/generated/ from the native API's OpenAPI document; with --check, says whether it is as it would be.
//
//   schema.d.ts     what operations take and answer, by openapi-typescript
//   operations.js   how each is sent

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';

const HERE = dirname(fileURLToPath(import.meta.url));
const DOCUMENT = join(HERE, '../../../crates/api/openapi.json');
const TO = join(HERE, '../src/generated');
const MADE = '// Made by scripts/generate.js from the native API\'s OpenAPI document; do not edit.\n';

/** How an operation is sent. */
function operation(method, path, { requestBody, parameters = [], responses }) {
  const content = Object.entries(responses).flatMap(([status, answer]) =>
    status.startsWith('2') ? Object.keys(answer.content ?? {}) : [],
  );
  const bodies = Object.keys(requestBody?.content ?? {});
  if (bodies.length > 1) throw new Error(`${method} ${path}: a body of several types`);
  const isNothing = content.length === 0 && responses['204'] !== undefined;
  const sent = { method: method.toUpperCase(), path };
  if (bodies.length === 1) sent.body = bodies[0];
  sent.answer = content.includes('text/event-stream')
    ? 'events'
    : isNothing || content.includes('application/json')
      ? 'json'
      : 'response';
  if (parameters.some(({ name }) => name === 'Idempotency-Key')) sent.keyed = true;
  return sent;
}

/** All operations that are answered by HTTP's means, by their ids. */
function operations(document) {
  const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete'];
  const found = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, described] of Object.entries(item)) {
      if (!METHODS.includes(method)) continue;
      // What goes on in another protocol is no request.
      if (described.responses['101'] !== undefined) continue;
      found.push([described.operationId, operation(method, path, described)]);
    }
  }
  found.sort(([one], [other]) => (one < other ? -1 : 1));
  const lines = found.map(([id, sent]) => `  ${id}: ${JSON.stringify(sent)},\n`);
  const type = "/** @satisfies {Record<string, import('../native.js').Operation>} */";
  return `${MADE}\n${type}\nexport const operations = {\n${lines.join('')}};\n`;
}

async function made() {
  const document = JSON.parse(readFileSync(DOCUMENT, 'utf8'));
  const schema = astToString(await openapiTS(pathToFileURL(DOCUMENT), { emptyObjectsUnknown: true }));
  return { 'schema.d.ts': `${MADE}\n${schema}`, 'operations.js': operations(document) };
}

for (const [name, text] of Object.entries(await made())) {
  const file = join(TO, name);
  if (!process.argv.includes('--check')) {
    writeFileSync(file, text);
  } else if (readFileSync(file, 'utf8') !== text) {
    const how = '`npm run generate` in sdk/js, or UPDATE_GOLDEN=1 with its test, makes it so';
    console.error(`src/generated/${name} is not what the OpenAPI document comes to; ${how}`);
    process.exitCode = 1;
  }
}
