/** What `require` gives. */

import type * as sdk from './native.js' with { 'resolution-mode': 'import' };

declare const native: typeof sdk;
export = native;
