// The session's flow: look where it stands, consent, instructions, trials, survey, thanks.

import { Api, Refused, Unreachable, wait } from './api.js';
import { describe, refreshInterval, refusal, tooSmall } from './device.js';
import { HandIn } from './handin.js';
import { Pairs } from './media.js';
import { filledIn, letGo, unsent } from './survey.js';
import { say } from './text.js';
import { TrialScreen } from './trial.js';

const BLANK_MS = 250; // between two pairs, so that a new pair is seen to be new
const FEEDBACK_MS = 1200;
const PATIENCE_MS = 1500; // without a reply, before the page says that it waits for one
// With nobody at the page: between its own tries, the last one again and again.
const PAUSES_MS = [10_000, 20_000, 40_000, 60_000];

const config = JSON.parse(document.getElementById('config').dataset.config);
const api = new Api();
const pairs = new Pairs();
const refresh = refreshInterval(); // measured while the server is asked
const handIn = config.submitTo ? new HandIn(config.submitTo) : null;
const byId = (id) => document.getElementById(id);
const slot = (screen, name) => byId(screen).querySelector(`[data-slot=${name}]`);
let trial = null;
let wasPractice = false;
let pauses = 0; // since something came last

byId('loading').dataset.running = ''; // for guard.js

function show(name) {
  if (byId(name).hidden) window.scrollTo(0, 0); // the screen before it may have been a long one
  for (const screen of document.querySelectorAll('.screen')) screen.hidden = screen.id !== name;
  if (name !== 'trial') byId(name).querySelector('h1').focus({ preventScroll: true });
}

/** Wait for a click on one of a screen's buttons; returns the action's name. */
function pressed(screen) {
  return new Promise((done) => {
    const listener = (event) => {
      const button = event.target.closest('[data-action]');
      // The second half of a double click is meant for the screen before.
      if (!button || event.detail > 1) return;
      byId(screen).removeEventListener('click', listener);
      done(button.dataset.action);
    };
    byId(screen).addEventListener('click', listener);
  });
}

// Where a session ends without having been finished; trying again would change nothing.
const FINAL = ['nothing_left', 'limit', 'full', 'over', 'revoked', 'closed'];
const WORDS = [...FINAL, 'paused', 'token'];
const returned = () => {
  const key = handIn ? 'notice.return' : `${config.crowd}.returning`; // which few crowds have
  return key in config.text ? ` ${say(key)}` : '';
};

/** Show why it cannot go on, and wait until the rater, or an outage's next pause, says to try. */
async function explain(error) {
  const refused = error instanceof Refused;
  const word = refused && !WORDS.includes(error.word) ? 'invalid' : error.word ?? 'lost';
  const final = refused && FINAL.includes(word);
  const key = `notice.${word}`;
  slot('notice', 'title').textContent = say(`${key}_heading`);
  slot('notice', 'text').textContent = say(key) + (final && word !== 'closed' ? returned() : '');
  byId('notice').querySelector('button').hidden = final;
  if (final) letGo();
  show('notice');
  const again = [pressed('notice')];
  if (error instanceof Unreachable) {
    again.push(wait(PAUSES_MS[Math.min(pauses, PAUSES_MS.length - 1)]));
    pauses += 1;
  }
  await Promise.race(again);
  if (refused && !unsent()) window.location.reload();
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
  await pressed('instructions');
  window.removeEventListener('resize', check);
}

/** Say where a device will not do, whether for a new session or to go on with one. */
function unfit(stage) {
  const problem = refusal(config.layout, config.devices);
  if (!problem || !['new', 'trials'].includes(stage)) return false;
  slot('refused', 'reason').textContent = problem + (stage === 'new' ? returned() : '');
  slot('refused', 'kept').textContent = say(stage === 'new' ? 'device.nothing' : 'device.kept');
  show('refused');
  return true;
}

/** Before the first trial: consent, instructions. */
async function begin() {
  if (config.consentVersion !== null) {
    show('consent');
    if (await pressed('consent') === 'disagree') {
      slot('notice', 'title').textContent = say('agreement.declined');
      slot('notice', 'text').textContent = say('agreement.nothing')
        + (returned() || ` ${say('agreement.close')}`);
      byId('notice').querySelector('button').hidden = true;
      show('notice');
      return null;
    }
  }
  await instruct();
  show('loading');
  const body = {
    ticket: config.ticket,
    consent: config.consentVersion,
    language: document.documentElement.lang,
    device: describe(await refresh),
  };
  return api.post('start', body);
}

function showProgress({ practice, number, total }) {
  byId('count').textContent = say(practice ? 'trial.practice' : 'trial.count', { number, total });
  const bar = byId('progress');
  bar.setAttribute('aria-valuemax', total);
  bar.setAttribute('aria-valuenow', number - 1);
  bar.setAttribute('aria-valuetext', say('trial.done', { number: number - 1, total }));
  bar.firstElementChild.style.width = `${(100 * (number - 1)) / total}%`;
}

/** Show the pair of a state, and answer all its questions; returns the next state. */
async function rate(state) {
  const { showing, after, progress } = state;
  if (wasPractice && !progress.practice) {
    slot('between', 'text').textContent = say('between.text', { pairs: progress.total });
    show('between');
    await pressed('between');
  }
  wasPractice = progress.practice;
  showProgress(progress);
  show('trial');
  trial.clear();
  trial.say(say('trial.loading'));
  const pair = await pairs.fetch(showing, () => trial.say(say('trial.slow')));
  const following = await new Promise((done, failed) => {
    trial.onAnswer = async (answer, more) => {
      try {
        const reply = await saved(answer);
        if (reply.correct !== null) await feedback(reply.correct, answer.choice);
        if (!more) done(reply.state);
      } catch (error) { failed(error); }
    };
    trial.onError = (error) => {
      pairs.drop(showing.position); // another try fetches it anew
      failed(error);
    };
    trial.show(showing, pair);
    if (after) pairs.fetch(after).catch(() => {}); // asked for again, aloud, when its turn comes
  });
  pauses = 0;
  trial.clear();
  trial.say('');
  pairs.drop(showing.position);
  await wait(BLANK_MS);
  return following;
}

/** Hand something in, however long it takes: it is kept until the server has it. */
async function handedIn(path, body, screen, onRetry) {
  for (;;) {
    try {
      return await api.post(path, body, onRetry);
    } catch (error) {
      if (error instanceof Refused) throw error;
      await explain(error);
      show(screen);
    }
  }
}

async function saved(answer) {
  const waiting = setTimeout(() => trial.say(say('page.saving')), PATIENCE_MS);
  try {
    return await handedIn('judgment', answer, 'trial', () => {
      clearTimeout(waiting);
      trial.say(say('trial.saving'));
    });
  } finally {
    clearTimeout(waiting);
  }
}

async function feedback(correct, choice) {
  const wrong = choice === 'tie' ? 'trial.wrong_tie' : 'trial.wrong';
  trial.say(say(correct ? 'trial.correct' : wrong), true);
  await wait(FEEDBACK_MS);
}

function survey() {
  show('survey');
  return filledIn(byId('survey').querySelector('form'));
}

/** Hand in the session with the survey's answers, if it has a survey. */
function finish(answers) {
  slot('loading', 'text').textContent = say('page.saving');
  show('loading');
  return handedIn('finish', answers, 'loading');
}

/** Point the way back to the site that pays; a session that has just ended goes there by itself. */
function leave(url, now) {
  byId('complete').href = url;
  for (const part of byId('done').querySelectorAll('[data-ending]')) {
    part.hidden = part.dataset.ending !== 'redirect';
  }
  if (now) window.location.assign(url);
}

/** Go from stage to stage until the session is over. */
async function proceed(first) {
  let state = first;
  while (state.stage === 'trials') state = await rate(state);
  if (state.stage === 'survey' && !byId('survey')) {
    window.location.reload(); // it came into the study after this page
    return;
  }
  if (state.stage === 'survey') {
    state = await finish({ survey: await survey() });
    letGo();
  }
  if (state.stage === 'finish') state = await finish({});
  if (state.stage === 'done') {
    if (handIn) handIn.prepare(state.receipt);
    else byId('code').textContent = state.code;
    if (state.redirect) leave(state.redirect, state !== first && !config.thanks);
    show('done');
    // Opened again, it may have been handed in already: then the worker decides.
    if (handIn && state !== first) handIn.send();
  } else await explain(new Refused(state.stage, 0));
}

async function run() {
  for (;;) {
    try {
      let state = await api.post('open', { ticket: config.ticket });
      if (unfit(state.stage)) return;
      if (state.stage === 'new') state = await begin();
      if (state === null) return;
      const { allowTie, questions } = config;
      if (state.stage === 'trials') pairs.fetch(state.showing).catch(() => {}); // as above
      trial ??= new TrialScreen({ allowTie, questions, refreshMs: await refresh });
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
window.addEventListener('pageshow', (event) => {
  if (event.persisted && !unsent()) window.location.reload();
});

run();
