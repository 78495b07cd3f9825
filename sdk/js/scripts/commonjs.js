// Writes dist/, which is what `require` gives, from src/, which is what `import` gives.
//
// Node 18 cannot require a module, so there has to be a second form. The modules here use of the syntax only
// imports and exports of names, each of them from the beginning of a line: that little is translated here,
// line for line, so that places in errors are those of the sources, and nothing has to be installed for it.
// What it cannot translate it refuses.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const FROM = join(HERE, '../src');
const TO = join(HERE, '../dist');

/** The names of an import or export, `A, B as C`, as a pattern or an object has them: `A, B: C`. */
function members(names) {
  return names.replaceAll(/ as /g, ': ');
}

function path(specifier) {
  return specifier.replace(/\.js$/, '.cjs');
}

/** One module in the other form. */
export function translated(source) {
  const exported = [];
  const text = source
    .replace(/^import \{([^}]*)\} from '(\.[^']*)';$/gm, (_, names, from) => `const {${members(names)}} = require('${path(from)}');`)
    .replace(/^export \{([^}]*)\} from '(\.[^']*)';$/gm, (_, names, from) => {
      const pairs = names.split(',').filter((name) => name.trim() !== '');
      for (const pair of pairs) {
        const [name, as = name] = pair.trim().split(' as ');
        exported.push(`${as}: require('${path(from)}').${name}`);
      }
      return '\n'.repeat(names.split('\n').length - 1);
    })
    .replace(/^export ((?:async )?(?:function\*?|class|const) (\w+))/gm, (_, declaration, name) => {
      exported.push(name);
      return declaration;
    });
  const left = text.match(/^(?:import|export)\b.*/m);
  if (left) throw new Error(`not a form that can be translated: ${left[0]}`);
  return `'use strict';${text}\nmodule.exports = { ${exported.join(', ')} };\n`;
}

/** The entrance: the class itself, with everything else as its properties. */
function entrance(source) {
  return `${translated(source)}module.exports = Object.assign(module.exports.Formation, module.exports);\n`;
}

function write(folder) {
  mkdirSync(join(TO, folder), { recursive: true });
  for (const entry of readdirSync(join(FROM, folder), { withFileTypes: true })) {
    const name = join(folder, entry.name);
    if (entry.isDirectory()) write(name);
    if (!entry.isFile() || !name.endsWith('.js')) continue;
    const source = readFileSync(join(FROM, name), 'utf8');
    writeFileSync(join(TO, path(name)), name === 'index.js' ? entrance(source) : translated(source));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(TO, { recursive: true, force: true });
  write('.');
}
