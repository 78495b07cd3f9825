/**
 * Server-sent events, as they come in (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 */

/**
 * @typedef {object} Message
 * @property {string} [id] the last that was given, with this event or before it
 * @property {string} [data] absent of one that only says how far the stream has come
 */

/**
 * The events of a stream. One that the stream breaks off in is none.
 * @param {AsyncIterable<Uint8Array>} chunks
 * @returns {AsyncGenerator<Message, void, undefined>}
 */
export async function* messages(chunks) {
  /** @type {string | undefined} */
  let id;
  /** @type {string[]} */
  let data = [];
  for await (const line of lines(chunks)) {
    if (line === '') {
      yield data.length > 0 ? { id, data: data.join('\n') } : { id };
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    // Without a name it is a comment.
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') data.push(value);
    if (name === 'id' && !value.includes('\0')) id = value;
  }
}

/**
 * The lines of a stream, which may end with a line feed, a carriage return, or both.
 * @param {AsyncIterable<Uint8Array>} chunks
 * @returns {AsyncGenerator<string, void, undefined>}
 */
async function* lines(chunks) {
  // It drops a byte order mark at the beginning, and keeps a character that a chunk ends in.
  const decoder = new TextDecoder();
  /** What has come of a line that has not ended: joined once, since a line may come in thousands of chunks. */
  let begun = [];
  let afterReturn = false;
  for await (const chunk of chunks) {
    let text = decoder.decode(chunk, { stream: true });
    if (text === '') continue;
    // The line feed of a line whose carriage return was the end of the chunk before.
    if (afterReturn && text.startsWith('\n')) text = text.slice(1);
    afterReturn = text === '' ? false : text.endsWith('\r');
    const parts = text.split(/\r\n|\n|\r/);
    const rest = /** @type {string} */ (parts.pop());
    for (const part of parts) {
      yield begun.length > 0 ? begun.join('') + part : part;
      begun = [];
    }
    if (rest !== '') begun.push(rest);
  }
}
