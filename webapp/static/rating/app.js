// The session's flow: look where it stands, consent, instructions, trials, survey, thanks.

import { Api, Refused, wait } from './api.js';
import { describe, refreshInterval, refusal, tooSmall } from './device.js';
import { HandIn } from './handin.js';
import { Pairs } from './media.js';
import { TrialScreen } from './trial.js';

const BLANK_MS = 250; // between two pairs, so that a new pair is seen to be new
const FEEDBACK_MS = 1200;

const config = JSON.parse(document.getElementById('config').dataset.config);
const api = new Api();
const pairs = new Pairs();
const handIn = config.submitTo ? new HandIn(config.submitTo) : null;
const byId = (id) => document.getElementById(id);
const slot = (screen, name) => byId(screen).querySelector(`[data-slot=${name}]`);
let trial = null;
let wasPractice = false;

function show(name) {
  for (const screen of document.querySelectorAll('.screen')) screen.hidden = screen.id !== name;
  if (name !== 'trial') byId(name).querySelector('h1').focus({ preventScroll: true });
}

/** Wait for a click on one of a screen's buttons; returns the action's name. */
function pressed(screen) {
  return new Promise((done) => {
    const listener = (event) => {
      const button = event.target.closest('[data-action]');
      if (!button) return;
      byId(screen).removeEventListener('click', listener);
      done(button.dataset.action);
    };
    byId(screen).addEventListener('click', listener);
  });
}

const ENDINGS = {
  'nothing-left': ['Nothing is left to rate', 'All pairs have been rated or are being rated right now. Thank you for coming.'],
  limit: ['You have already taken part', 'You have done as many sessions as this study allows. Thank you.'],
  closed: ['This session is closed', 'It takes no more answers. Nothing else needs to be done.'],
  token: ['This page is too old', 'Please reload it; what you answered has been saved.'],
  invalid: ['Something went wrong', 'Please reload the page; what you answered has been saved.'],
};
const RETURN = ' Please return this HIT; returning it does not count against you.';
const LOST = ['No connection', 'The server or a clip cannot be reached. Nothing is lost: try again when you are online.'];

/** Show why it cannot go on, and wait until the rater wants to try again. */
async function explain(error) {
  const ending = error instanceof Refused ? ENDINGS[error.word] ?? ENDINGS.invalid : LOST;
  const final = error instanceof Refused && ['nothing-left', 'limit', 'closed'].includes(error.word);
  slot('notice', 'title').textContent = ending[0];
  slot('notice', 'text').textContent = ending[1] + (final && handIn && error.word !== 'closed' ? RETURN : '');
  byId('notice').querySelector('button').hidden = final;
  show('notice');
  await pressed('notice');
  if (error instanceof Refused) window.location.reload();
}

async function instruct() {
  const note = byId('device-note');
  const start = byId('instructions').querySelector('[data-action=start]');
  const check = () => {
    const problem = tooSmall(config.layout);
    note.textContent = problem ?? '';
    note.hidden = problem === null;
    start.disabled = problem !== null;
  };
  window.addEventListener('resize', check);
  check();
  show('instructions');
  const [refreshMs] = await Promise.all([refreshInterval(), pressed('instructions')]);
  window.removeEventListener('resize', check);
  return refreshMs;
}

/** Before the first trial: the device, consent, instructions. */
async function begin() {
  const problem = refusal(config.layout, config.devices);
  if (problem) {
    slot('refused', 'reason').textContent = problem + (handIn ? RETURN : '');
    show('refused');
    return null;
  }
  if (config.consentVersion !== null) {
    show('consent');
    if (await pressed('consent') === 'disagree') {
      slot('notice', 'title').textContent = 'You are not taking part';
      slot('notice', 'text').textContent = handIn ? `Nothing has been recorded.${RETURN}`
        : 'Nothing has been recorded. You can close this page.';
      byId('notice').querySelector('button').hidden = true;
      show('notice');
      return null;
    }
  }
  const refreshMs = await instruct();
  show('loading');
  const body = { ticket: config.ticket, consent: config.consentVersion, device: describe(refreshMs) };
  return api.post('start', body);
}

function showProgress({ practice, number, total }) {
  byId('count').textContent = `${practice ? 'Practice ' : ''}${number} of ${total}`;
  const bar = byId('progress');
  bar.setAttribute('aria-valuemax', total);
  bar.setAttribute('aria-valuenow', number - 1);
  bar.setAttribute('aria-valuetext', `${number - 1} of ${total} done`);
  bar.firstElementChild.style.width = `${(100 * (number - 1)) / total}%`;
}

/** Show the pair of a state, and answer all its questions; returns the next state. */
async function rate(state) {
  const { showing, after, progress } = state;
  if (wasPractice && !progress.practice) {
    slot('between', 'count').textContent = String(progress.total);
    show('between');
    await pressed('between');
  }
  wasPractice = progress.practice;
  showProgress(progress);
  show('trial');
  trial.clear();
  trial.say('Loading…');
  const pair = await pairs.fetch(showing, () => trial.say('Loading is slow; trying again…'));
  const following = await new Promise((done, failed) => {
    trial.onAnswer = async (answer, more) => {
      try {
        const reply = await saved(answer);
        if (reply.correct !== null) await feedback(reply.correct);
        if (!more) done(reply.state);
      } catch (error) { failed(error); }
    };
    trial.show(showing, pair);
    if (after) pairs.fetch(after).catch(() => {}); // asked for again, aloud, when its turn comes
  });
  trial.clear();
  trial.say('');
  pairs.drop(showing.position);
  await wait(BLANK_MS);
  return following;
}

/** Hand in an answer, however long it takes: it is kept until the server has it. */
async function saved(answer) {
  for (;;) {
    try {
      return await api.post('judgment', answer, () => trial.say('Saving… no reply yet, trying again.'));
    } catch (error) {
      if (error instanceof Refused) throw error;
      await explain(error);
      show('trial');
    }
  }
}

async function feedback(correct) {
  trial.say(correct ? 'Right, that is the one.' : 'No, it is the other one.', true);
  await wait(FEEDBACK_MS);
}

async function survey() {
  const form = byId('survey').querySelector('form');
  show('survey');
  for (;;) {
    await new Promise((done) => {
      form.addEventListener('submit', (event) => { event.preventDefault(); done(); }, { once: true });
    });
    form.querySelector('[role=alert]').hidden = form.checkValidity();
    if (form.checkValidity()) return Object.fromEntries(new FormData(form));
  }
}

/** Go from stage to stage until the session is over. */
async function proceed(first) {
  let state = first;
  while (state.stage === 'trials') state = await rate(state);
  if (state.stage === 'survey') state = await api.post('finish', { survey: await survey() });
  if (state.stage === 'finish') state = await api.post('finish', {});
  if (state.stage === 'done') {
    if (handIn) handIn.prepare(state.receipt);
    else byId('code').textContent = state.code;
    show('done');
    // Opened again, it may have been handed in already: then the worker decides.
    if (handIn && state !== first) handIn.send();
  } else await explain(new Refused(state.stage, 0));
}

async function run() {
  for (;;) {
    try {
      let state = await api.post('open', { ticket: config.ticket });
      if (state.stage === 'new') state = await begin();
      if (state === null) return;
      trial ??= new TrialScreen({ allowTie: config.allowTie, refreshMs: await refreshInterval(8) });
      await proceed(state);
      return;
    } catch (error) {
      trial?.clear();
      await explain(error);
      show('loading');
    }
  }
}

// Restored from the back/forward cache, the page may be older than the database.
window.addEventListener('pageshow', (event) => { if (event.persisted) window.location.reload(); });

run();
