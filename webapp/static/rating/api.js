// Talking to the server. Every request may be repeated, so a lost reply is simply sent again.

const WAITS_MS = [400, 800, 1600, 3200, 6400];
const SILENCE_MS = 20_000; // without a byte; a connection can die without a word

/** The server refused: `word` says why (`limit`, `nothing_left`, `closed`, `token`, `invalid`). */
export class Refused extends Error {
  constructor(word, status) {
    super(word);
    this.word = word;
    this.status = status;
  }
}

/** No answer after several tries; trying again is safe. */
export class Unreachable extends Error {}

/** The browser cannot play or draw a clip. */
export class Unplayable extends Error {
  word = 'unplayable';
}

/** The server has no such clip, or gives it to nobody. */
export class Missing extends Error {
  word = 'missing';
}

export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Call `attempt` until it succeeds, waiting longer each time.
 * It throws Refused (never retried) or anything else (retried).
 */
export async function persistently(attempt, onRetry = () => {}) {
  for (let tried = 0; ; tried += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof Refused) throw error;
      if (tried >= WAITS_MS.length) {
        throw error instanceof Missing ? error : new Unreachable(String(error));
      }
      onRetry(tried + 1);
      await wait(WAITS_MS[tried]);
    }
  }
}

/**
 * Call `attempt` with a signal that ends it after a silence, as a lost connection would, and with
 * `heard`, to be called at every sign of life: a slow link is no silence.
 */
export async function unlessSilent(attempt) {
  const control = new AbortController();
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => control.abort(), SILENCE_MS);
  };
  heard();
  try {
    return await attempt(control.signal, heard);
  } finally {
    clearTimeout(silence);
  }
}

/** Whether another try may bring something else. */
export const isPassing = ({ status }) => status >= 500 || status === 429;

async function answered(reply) {
  if (reply.ok) return reply.json();
  if (isPassing(reply)) throw new Error(`status ${reply.status}`);
  const body = await reply.json().catch(() => ({}));
  throw new Refused(body.error ?? 'invalid', reply.status);
}

/** The session's requests; the token of the last reply that had one is sent along. */
export class Api {
  #token = null;

  async post(path, body, onRetry) {
    const headers = { 'Content-Type': 'application/json' };
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    const options = {
      method: 'POST', headers, body: JSON.stringify(body), credentials: 'omit', cache: 'no-store',
    };
    const reply = await persistently(
      () => unlessSilent(async (signal) => (
        answered(await fetch(`api/${path}`, { ...options, signal }))
      )),
      onRetry,
    );
    if (reply.token) this.#token = reply.token;
    return reply;
  }
}
