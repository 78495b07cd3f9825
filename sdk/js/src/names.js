/**
 * The names of fields: `buildId` here is `build_id` there.
 */

/**
 * A document as the service writes it. Fields that are `undefined` are left out.
 * @param {Record<string, unknown>} document
 * @returns {Record<string, unknown>}
 */
export function toService(document) {
  const given = Object.entries(document).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [snake(name), inside(value, toService)]));
}

/**
 * A document as it is written here.
 * @param {any} document
 * @returns {any}
 */
export function fromService(document) {
  return inside(document, (fields) =>
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [camel(name), fromService(value)])),
  );
}

/**
 * What a function makes of an object, or of each in a list; all else is left as it is.
 * @param {any} value
 * @param {(fields: Record<string, unknown>) => unknown} change
 * @returns {any}
 */
function inside(value, change) {
  if (Array.isArray(value)) return value.map((item) => inside(item, change));
  return typeof value === 'object' && value !== null ? change(value) : value;
}

/** @param {string} name */
function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** @param {string} name */
function camel(name) {
  return name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
}
