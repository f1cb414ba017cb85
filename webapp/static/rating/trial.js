// One showing: play the pair, keep answers locked until both were seen, measure, hand in answers.

import { Cover } from './cover.js';
import { reducedMotion, tooSmall } from './device.js';
import { meaning } from './keys.js';
import { SpritePlayer } from './sprites.js';
import { say } from './text.js';
import { VideoPlayer } from './videos.js';

const byId = (id) => document.getElementById(id);
const round = (number) => Math.round(number * 10) / 10;

// Nobody has read a question sooner: what comes then was meant for the one before it.
const UNREAD_MS = 300;
const DOUBLE_CLICK_MS = 500; // as the systems have it

/**
 * The trial screen. `onAnswer(answer)` returns a promise; answers wait for it. `onError(error)`
 * hears that the pair on screen cannot be played.
 */
export class TrialScreen {
  #player = null;
  #showing = null;
  #question = 0;
  #busy = false;
  #open = false;
  #keysOn = true;
  #counts = {};
  #shownAt = null; // when the present question could first be seen, on the clock of events
  #answeredAt = -Infinity; // when the last answer was given
  #hiddenAt = null;
  #cramped = false; // the window has no room for both clips
  #cover;

  /** @param {{allowTie, refreshMs, onAnswer, questions}} options `questions` are translations. */
  constructor({ allowTie, refreshMs, onAnswer, questions = {} }) {
    this.allowTie = allowTie;
    this.questions = questions;
    this.refreshMs = refreshMs;
    this.onAnswer = onAnswer;
    this.onError = () => {};
    this.root = byId('trial');
    this.stage = byId('stage');
    this.hint = byId('hint');
    this.answers = [...this.root.querySelectorAll('.answer')];
    this.#cover = new Cover([...this.answers, byId('replay')], () => {
      if (this.#hiddenAt === null) this.#restart();
      else this.#back();
    });
    this.#listen();
  }

  get active() { return this.#player !== null; }

  /** Show a pair that has been fetched whole. */
  show(showing, pair) {
    this.clear();
    this.#showing = showing;
    this.#question = 0;
    this.#counts = { early: 0, replays: 0, hiddenMs: 0, blurs: 0 };
    this.#shownAt = null;
    const Player = showing.left.layout.kind === 'video' ? VideoPlayer : SpritePlayer;
    this.#player = new Player(pair, {
      onTick: () => this.#onTick(),
      onError: (error) => this.onError(error),
      onRefused: () => this.#hold(say('trial.blocked'), say('trial.play')),
      refreshMs: this.refreshMs,
    });
    for (const side of ['left', 'right']) this.#place(side, showing[side].layout);
    this.#describeQuestion();
    this.#setOpen(false);
    window.scrollTo(0, 0); // a long prompt makes the page long, and every pair has its own
    byId('question').focus({ preventScroll: true });
    if (document.hidden || !document.hasFocus()) this.#away();
    else this.#go();
  }

  /** Remove the pair, so that nothing of it is on screen while the next one loads. */
  clear() {
    this.#player?.dispose();
    this.#player = null;
    this.#busy = false;
    this.#hiddenAt = null; // nothing is there to come back to
    this.#cramped = false;
    this.#setOpen(false);
    this.#uncover();
    this.#labelPause();
    for (const frame of this.root.querySelectorAll('.frame')) frame.replaceChildren();
    for (const one of this.root.querySelectorAll('.chosen')) one.classList.remove('chosen');
  }

  say(text, strong = false) {
    this.hint.textContent = text;
    this.hint.classList.toggle('strong', strong);
  }

  #place(side, layout) {
    const element = this.#player.element(side);
    const width = Math.round(layout.width * layout.scale);
    const height = Math.round(layout.height * layout.scale);
    element.style.width = `${width}px`;
    element.style.height = `${height}px`;
    element.setAttribute('role', 'img');
    element.setAttribute('aria-label', say(`trial.${side}_clip`));
    const frame = this.root.querySelector(`.side[data-side=${side}] .frame`);
    frame.style.width = `${width}px`;
    frame.style.height = `${height}px`;
    frame.replaceChildren(element);
  }

  #describeQuestion() {
    const { name, text } = this.#showing.questions[this.#question];
    byId('question').textContent = this.questions[name] ?? text;
    const prompt = byId('prompt');
    prompt.textContent = this.#showing.prompt;
    prompt.hidden = this.#showing.prompt === '';
  }

  #onTick() {
    const player = this.#player;
    if (this.#shownAt === null && player.firstFrameAt !== null) this.#shownAt = player.firstFrameAt;
    if (!this.#open && player.shownOnce) this.#setOpen(true);
  }

  #setOpen(open) {
    this.#open = open;
    this.root.classList.toggle('ready', open);
    for (const button of this.answers) button.setAttribute('aria-disabled', String(!open));
    this.#sayWhetherOpen();
  }

  #sayWhetherOpen() { this.say(say(this.#open ? 'trial.open' : 'trial.locked')); }

  // ---- pausing ---------------------------------------------------------------------------------

  #labelPause() {
    byId('pause').textContent = this.#player && !this.#player.running
      ? say('trial.play') : say('trial.pause');
  }

  /** Stop the clips under a cover, which locks the answers, too. */
  #hold(why, label) {
    this.#player.pause();
    if (this.#player.firstFrameAt === null) this.#player.poster();
    this.#cover.show(why, label);
    this.#labelPause();
  }

  #uncover() {
    if (this.#cover.hide() && this.#player) byId('question').focus({ preventScroll: true });
  }

  /** Play from the start, or say what stands in the way. */
  #go() {
    const problem = tooSmall(this.#showing.left.layout);
    this.#cramped = problem !== null;
    if (this.#cramped) this.#hold(problem);
    else if (reducedMotion()) this.#hold(say('trial.waiting'), say('trial.play'));
    else this.#restart();
  }

  async #restart() {
    this.#uncover();
    if (!this.#busy) this.#sayWhetherOpen(); // else the answer's own words stay
    await this.#player.start();
    this.#labelPause();
  }

  #away() {
    if (!this.#player || this.#hiddenAt !== null) return;
    this.#hiddenAt = performance.now();
    this.#hold(say('trial.away'), say('trial.continue'));
  }

  #back() {
    if (this.#hiddenAt === null) return;
    this.#counts.hiddenMs += performance.now() - this.#hiddenAt;
    this.#hiddenAt = null;
    this.#go();
  }

  #onResize() {
    if (!this.#player || this.#hiddenAt !== null) return;
    if (this.#cramped || tooSmall(this.#showing.left.layout) !== null) this.#go();
  }

  get #canRun() { return this.#player && this.#hiddenAt === null && !this.#cramped; }

  #togglePause() {
    if (!this.#canRun) return;
    if (this.#cover.text !== null) { this.#restart(); return; }
    if (this.#player.running) this.#player.pause();
    else this.#player.resume();
    this.#labelPause();
  }

  #replay() {
    if (!this.#canRun || this.#busy) return;
    if (this.#cover.text === null) this.#counts.replays += 1;
    this.#restart();
  }

  // ---- answering -------------------------------------------------------------------------------

  #choose(choice, event, input) {
    if (!this.#player || this.#busy || this.#unread(event)) return;
    if (!this.#open) this.#counts.early += 1;
    if (!this.#open || this.#cover.text !== null) {
      this.say(this.#cover.text ?? say('trial.early'));
      return;
    }
    this.#busy = true;
    this.#answeredAt = event.timeStamp;
    this.#mark(choice);
    this.#submit(this.#answer(choice, event, input));
  }

  #unread(event) {
    const doubled = event.detail > 1 && event.timeStamp - this.#answeredAt < DOUBLE_CLICK_MS;
    const shown = this.#shownAt ?? -Infinity; // before its first frame a pair is locked anyway
    return doubled || event.timeStamp - shown < UNREAD_MS;
  }

  #mark(choice) {
    for (const one of this.root.querySelectorAll(`[data-choice=${choice}], [data-side=${choice}]`)) {
      one.classList.add('chosen');
    }
  }

  async #submit(answer) {
    const next = this.#question + 1;
    const more = next < this.#showing.questions.length;
    await this.onAnswer(answer, more);
    if (!more || !this.#player) return;
    this.#question = next;
    this.#describeQuestion();
    for (const one of this.root.querySelectorAll('.chosen')) one.classList.remove('chosen');
    byId('question').focus({ preventScroll: true });
    this.#shownAt = performance.now();
    this.#busy = false;
    this.#sayWhetherOpen();
  }

  #answer(choice, event, input) {
    const player = this.#player;
    const box = player.element('left').getBoundingClientRect();
    return {
      position: this.#showing.position,
      question: this.#showing.questions[this.#question].name,
      choice,
      // The event's own time: the handler runs later when the page is busy.
      rt_ms: Math.max(0, round(event.timeStamp - this.#shownAt)),
      clip_ms: round(player.playedMs),
      details: {
        frames_drawn: player.framesDrawn,
        // At least 1: answers open once both clips were shown through; still images have no loops.
        loops: Math.max(1, Math.floor(player.loops * 100) / 100),
        largest_gap_ms: round(player.largestGapMs),
        start_offset_ms: round(player.startOffsetMs),
        early_presses: this.#counts.early,
        replays: this.#counts.replays,
        hidden_ms: round(this.#counts.hiddenMs),
        blurs: this.#counts.blurs,
        device_pixel_ratio: window.devicePixelRatio,
        viewport: [window.innerWidth, window.innerHeight],
        displayed: [round(box.width), round(box.height)],
        input,
        client_time: Date.now(),
        reduced_motion: reducedMotion(),
        stalls: player.stalls,
      },
    };
  }

  // ---- events ----------------------------------------------------------------------------------

  #listen() {
    document.addEventListener('keydown', (event) => this.#onKey(event));
    for (const button of this.answers) {
      button.addEventListener('click', (event) => {
        this.#choose(button.dataset.choice, event, this.#pointer(event));
      });
    }
    for (const side of this.root.querySelectorAll('.side')) {
      side.querySelector('.frame').addEventListener('click', (event) => {
        this.#choose(side.dataset.side, event, this.#pointer(event));
      });
    }
    // Its menu has controls for a video, which would let people skip through it.
    this.stage.addEventListener('contextmenu', (event) => event.preventDefault());
    byId('pause').addEventListener('click', () => this.#togglePause());
    byId('replay').addEventListener('click', () => this.#replay());
    byId('keys').addEventListener('click', (event) => {
      this.#keysOn = !this.#keysOn;
      event.currentTarget.setAttribute('aria-pressed', String(this.#keysOn));
      event.currentTarget.textContent = say(this.#keysOn ? 'trial.keys_on' : 'trial.keys_off');
      this.root.classList.toggle('keyless', !this.#keysOn);
    });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#away();
      else if (document.hasFocus()) this.#back();
    });
    window.addEventListener('blur', () => { this.#counts.blurs += 1; this.#away(); });
    window.addEventListener('focus', () => { if (!document.hidden) this.#back(); });
    window.addEventListener('resize', () => this.#onResize());
  }

  // A click event without a pointer comes from Enter or Space on a focused button.
  #pointer(event) {
    if (event.pointerType === 'touch') return 'touch';
    return event.detail === 0 && !event.pointerType ? 'key' : 'click';
  }

  #onKey(event) {
    if (!this.#player || !this.#keysOn || event.defaultPrevented) return;
    const meant = meaning(event, this.allowTie);
    if (!meant) return;
    event.preventDefault(); // arrows and Space would scroll
    if (meant.replay) this.#replay();
    else this.#choose(meant.choice, event, 'key');
  }
}
