// Fetching pairs. A pair is complete or it is an error; there is never one side alone.

import { isPassing, Missing, persistently, Refused, unlessSilent, Unplayable } from './api.js';

/** Read a reply piece by piece; each is a sign of life. */
async function whole(reply, heard) {
  const pieces = [];
  const reader = reply.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(pieces, { type: reply.headers.get('Content-Type') ?? '' });
    heard();
    pieces.push(value);
  }
}

async function bytes(clip, onRetry) {
  return persistently(() => unlessSilent(async (signal, heard) => {
    const options = { credentials: 'omit', referrerPolicy: 'no-referrer', signal };
    const reply = await fetch(clip.url, options);
    if (!reply.ok) throw new (isPassing(reply) ? Error : Missing)(`status ${reply.status}`);
    const blob = await whole(reply, heard);
    if (blob.size !== clip.bytes) throw new Error('cut short');
    return blob;
  }), onRetry);
}

/** A sprite sheet becomes a bitmap (its pixels untouched), a video the URL of a local copy. */
async function decoded(clip, onRetry) {
  const blob = await bytes(clip, onRetry);
  if (clip.layout.kind === 'video') return { layout: clip.layout, url: URL.createObjectURL(blob) };
  try {
    const options = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' };
    return { layout: clip.layout, bitmap: await createImageBitmap(blob, options) };
  } catch (error) {
    throw new Unplayable(error.message);
  }
}

function release(clip) {
  clip.bitmap?.close();
  if (clip.url) URL.revokeObjectURL(clip.url);
}

/** Holds the pair on screen and the next one, by position in the session. */
export class Pairs {
  #pending = new Map();

  /** Start fetching both sides, unless that is done or under way. */
  fetch(showing, onRetry = () => {}) {
    const { position } = showing;
    if (!this.#pending.has(position)) {
      const began = performance.now();
      let retries = 0;
      const again = () => { retries += 1; onRetry(retries); };
      const both = Promise.all([decoded(showing.left, again), decoded(showing.right, again)])
        .then(([left, right]) => ({ left, right, retries, loadMs: performance.now() - began }));
      // Whoever awaits it sees the error; a prefetch that failed must not be an unhandled one.
      both.catch((error) => {
        if (!(error instanceof Refused)) this.#pending.delete(position);
      });
      this.#pending.set(position, both);
    }
    return this.#pending.get(position);
  }

  /** Let go of a pair that has been answered. */
  drop(position) {
    const pair = this.#pending.get(position);
    this.#pending.delete(position);
    pair?.then(({ left, right }) => { release(left); release(right); }, () => {});
  }
}
