// Two videos, from local copies: started together, and started again together when both ended.

import { Unplayable } from './api.js';

const PATIENCE_MS = 5000; // a local copy is read much sooner
const ROUNDING_S = 0.002; // of times that are told in whole milliseconds
const UNSAID_MS = 200; // at its end, before a clip is taken to have ended without a word

/**
 * Wait until a video can be played; fails where the browser cannot decode it. All of it is here, so
 * `canplay` is enough, and WebKit may never say `canplaythrough`. A browser that reads no more than
 * the beginning before it is asked to play says neither: it is asked then.
 */
const canPlay = (video) => new Promise((done, failed) => {
  const fail = () => failed(new Unplayable(video.error?.message));
  if (video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) done();
  if (video.error) fail();
  video.addEventListener('canplay', done, { once: true });
  video.addEventListener('error', fail, { once: true });
  setTimeout(() => {
    if (video.readyState > HTMLMediaElement.HAVE_NOTHING) done();
    else fail();
  }, PATIENCE_MS);
});

/** Whether a video is at its end: WebKit may stop a millisecond before it, and not say `ended`. */
const isOver = ({ ended, currentTime, duration }) => ended || currentTime > duration - ROUNDING_S;

/** Whether at least 80 % of a video ran, at whatever times. */
function wasPlayed({ played, duration }) {
  let seconds = 0;
  for (let i = 0; i < played.length; i += 1) seconds += played.end(i) - played.start(i);
  return seconds >= 0.8 * duration;
}

/** Plays a pair of videos behind the same interface as SpritePlayer. */
export class VideoPlayer {
  #videos = {};
  #request = 0;
  #last = null;
  #ended = new Set();
  #playing = new Set(); // sides that ran since they were last asked to
  #standing = new Map(); // since when a side has been at its end
  #turns = 0;
  #rewinding = new Set(); // sides that this page, and nobody else, sends to their start
  #call = 0;
  #ready; // whether both can be played: asked with the first start, when the page is in sight

  /**
   * @param {{left, right}} pair fetched clips
   * @param {{onTick: function, onError: function, onRefused: function}} options `onError` hears of
   *   a clip that the browser cannot play, `onRefused` that it plays none unless somebody asks
   */
  constructor(pair, { onTick, onError = () => {}, onRefused = () => {} }) {
    this.pair = pair;
    this.onTick = onTick;
    this.onRefused = onRefused;
    this.framesDrawn = 0;
    this.playedMs = 0;
    this.largestGapMs = 0;
    this.stalls = 0;
    this.startOffsetMs = 0;
    this.firstFrameAt = null;
    // Clips that keep their own lengths loop each on its own.
    this.together = pair.left.layout.frames === pair.right.layout.frames;
    for (const side of ['left', 'right']) this.#videos[side] = this.#made(side);
    this.onError = onError;
  }

  #made(side) {
    const { layout, url } = this.pair[side];
    const video = document.createElement('video');
    // `muted` and its attribute: play() without a gesture is refused to anything that could sound.
    Object.assign(video, {
      muted: true, defaultMuted: true, playsInline: true, preload: 'auto',
      disablePictureInPicture: true, width: layout.width, height: layout.height, src: url,
    });
    video.addEventListener('ended', () => this.#onEnded(side));
    video.addEventListener('seeking', () => {
      if (!this.#rewinding.has(side) || video.loop) this.#beginAnew();
    });
    video.addEventListener('seeked', () => this.#rewinding.delete(side));
    video.addEventListener('ratechange', () => { if (video.playbackRate !== 1) this.#beginAnew(); });
    // Every start is a wait, too, and may be told when the clock has already moved.
    video.addEventListener('playing', () => this.#playing.add(side));
    // Firefox tells one more while it goes to the start.
    video.addEventListener('waiting', () => {
      if (!video.seeking && this.#playing.delete(side)) this.stalls += 1;
    });
    if (video.requestVideoFrameCallback) {
      const count = () => { this.framesDrawn += 1; video.requestVideoFrameCallback(count); };
      video.requestVideoFrameCallback(count);
    }
    return video;
  }

  element(side) { return this.#videos[side]; }

  get running() { return this.#request !== 0; }

  get loops() { return this.#turns; }

  get shownOnce() { return this.#turns >= 1 && Object.values(this.#videos).every(wasPlayed); }

  poster() { for (const side of ['left', 'right']) this.#rewind(side); }

  #rewind(side) {
    this.#rewinding.add(side);
    this.#videos[side].currentTime = 0;
  }

  /** A browser's own controls moved a clip or changed its pace: the pass does not count. */
  #beginAnew() {
    for (const video of Object.values(this.#videos)) {
      Object.assign(video, { loop: false, playbackRate: 1 });
    }
    if (this.running) this.start();
    else {
      this.#ended.clear();
      this.poster();
    }
  }

  async start() {
    this.pause();
    this.#ended.clear();
    this.#standing.clear();
    const call = this.#call;
    this.#ready ??= Promise.all(Object.values(this.#videos).map(canPlay))
      .then(() => true, (error) => { this.onError(error); return false; });
    const playable = await this.#ready;
    if (!playable || call !== this.#call) return; // paused or disposed of meanwhile
    this.poster();
    this.resume();
  }

  pause() {
    this.#call += 1;
    cancelAnimationFrame(this.#request);
    this.#request = 0;
    for (const video of Object.values(this.#videos)) video.pause();
  }

  resume() {
    if (this.running) return;
    this.#last = null;
    this.#request = requestAnimationFrame(this.#tick);
    for (const side of ['left', 'right']) {
      // The one that ended first waits for the other.
      if (!this.together || !this.#ended.has(side)) this.#play(side);
    }
  }

  #play(side) {
    this.#playing.delete(side);
    const call = this.#call;
    this.#videos[side].play().catch((error) => {
      // A pause that came at once fails it too; the clips then stand, as asked.
      if (error.name !== 'NotAllowedError' || call !== this.#call) return;
      this.pause(); // the other side, too, whatever it was allowed
      this.onRefused();
    });
  }

  dispose() {
    this.pause();
    for (const video of Object.values(this.#videos)) { video.removeAttribute('src'); video.load(); }
  }

  #onEnded(side) {
    if (!isOver(this.#videos[side])) return; // a late word, of a pass that is over
    this.#ended.add(side);
    const both = this.#ended.size === 2;
    if (both) {
      this.#turns += 1;
      this.#ended.clear();
    }
    if (!this.running) return;
    if (this.together && both) this.start();
    if (!this.together) {
      this.#rewind(side);
      this.#play(side);
    }
  }

  /** What `ended` tells, where it does not come. */
  #noticeEnd(side, now) {
    if (!isOver(this.#videos[side])) this.#standing.delete(side);
    else if (!this.#standing.has(side)) this.#standing.set(side, now);
    else if (now - this.#standing.get(side) > UNSAID_MS) this.#onEnded(side);
  }

  #tick = (now) => {
    this.#request = requestAnimationFrame(this.#tick);
    const { left, right } = this.#videos;
    const moving = left.currentTime > 0 && right.currentTime > 0;
    if (moving && this.firstFrameAt === null) {
      this.firstFrameAt = now;
      this.startOffsetMs = (left.currentTime - right.currentTime) * 1000;
    }
    if (this.#last !== null) {
      const gap = now - this.#last;
      this.largestGapMs = Math.max(this.largestGapMs, gap);
      if (moving) this.playedMs += gap;
    }
    this.#last = now;
    for (const side of ['left', 'right']) this.#noticeEnd(side, now);
    this.onTick(now);
  };
}
