// Two canvases under one clock: both frames change in the same animation tick, always.

import { median } from './device.js';

const PAUSE_GAP_MS = 400; // a longer silence of the clock means that nothing was on screen
const RECENT = 120; // gaps that tell how often the display draws

/** Plays a pair of sprite sheets (or two still images). */
export class SpritePlayer {
  #canvases = {};
  #contexts = {};
  #seen = {};
  #index = { left: -1, right: -1 };
  #request = 0;
  #origin = null; // time stamp of frame 0 on the running clock
  #last = null;
  #position = 0; // how long this run has lasted
  #passes = 0; // that the runs before it completed
  #gaps = []; // the recent ones of this run
  #halfTick;

  /**
   * @param {{left, right}} pair decoded clips
   * @param {{onTick: function, refreshMs: number}} options
   */
  constructor(pair, { onTick, refreshMs }) {
    this.pair = pair;
    this.onTick = onTick;
    // Without it, a frame rate that divides the display's makes frames flip at rounding errors.
    this.#halfTick = refreshMs / 2;
    this.framesDrawn = 0;
    this.playedMs = 0;
    this.largestGapMs = 0;
    this.stalls = 0;
    this.startOffsetMs = 0;
    this.firstFrameAt = null;
    for (const side of ['left', 'right']) {
      const { layout } = pair[side];
      const canvas = document.createElement('canvas');
      canvas.width = layout.width;
      canvas.height = layout.height;
      canvas.className = Number.isInteger(layout.scale) ? 'whole' : '';
      this.#canvases[side] = canvas;
      this.#contexts[side] = canvas.getContext('2d', { alpha: false });
      this.#seen[side] = new Uint8Array(layout.frames);
    }
  }

  element(side) { return this.#canvases[side]; }

  get running() { return this.#request !== 0; }

  /** Show the first frame of both and stand still. */
  poster() { this.#draw(0, 0); }

  /** Play both from their first frame. */
  start() {
    this.pause();
    this.#passes = Math.floor(this.loops); // one that is broken off does not count
    for (const seen of Object.values(this.#seen)) seen.fill(0);
    this.#position = 0;
    this.#gaps = [];
    this.#origin = null;
    this.#last = null;
    this.#index = { left: -1, right: -1 };
    this.#request = requestAnimationFrame(this.#tick);
  }

  /** Stand still; `resume` goes on from here. */
  pause() {
    cancelAnimationFrame(this.#request);
    this.#request = 0;
  }

  resume() {
    if (this.running) return;
    this.#last = null; // the time in between is not a gap
    this.#request = requestAnimationFrame(this.#tick);
  }

  dispose() { this.pause(); }

  /** Passes through the longer clip: the whole ones of all runs, and of this run the last, too. */
  get loops() {
    const { layout } = this.#longer;
    return this.#passes + this.#position * layout.fps / (1000 * layout.frames);
  }

  /** Whether both clips were drawn through once, in one run, with few frames missing of those that
      the display can draw: one slower than the clip leaves out the same ones in every pass. */
  get shownOnce() {
    if (this.#longer.layout.frames > 1 && this.loops < 1) return false;
    const gap = median(this.#gaps) ?? 0;
    return Object.entries(this.#seen).every(([side, seen]) => {
      const drawable = Math.min(seen.length, 1000 * seen.length / this.pair[side].layout.fps / gap);
      return seen.reduce((sum, one) => sum + one, 0) >= Math.ceil(0.8 * drawable);
    });
  }

  get #longer() {
    const { left, right } = this.pair;
    return left.layout.frames >= right.layout.frames ? left : right;
  }

  #tick = (now) => {
    this.#request = requestAnimationFrame(this.#tick);
    const gap = this.#last === null ? 0 : now - this.#last;
    if (this.#origin === null) this.#origin = now;
    else if (this.#last === null || gap > PAUSE_GAP_MS) {
      // Nothing was drawn meanwhile, so the clip did not run: go on where it stood.
      this.#origin = now - this.#position;
      if (gap > PAUSE_GAP_MS) this.stalls += 1;
    } else {
      this.playedMs += gap;
      this.#gaps = [...this.#gaps.slice(1 - RECENT), gap];
    }
    this.largestGapMs = Math.max(this.largestGapMs, gap);
    this.#last = now;
    this.#position = now - this.#origin;
    this.#draw(this.#position + this.#halfTick, now);
    this.onTick(now);
  };

  #draw(elapsed, now) {
    for (const side of ['left', 'right']) {
      const { layout, bitmap } = this.pair[side];
      const index = Math.floor((elapsed * layout.fps) / 1000) % layout.frames;
      if (index === this.#index[side]) continue;
      const { width, height, columns } = layout;
      const x = (index % columns) * width;
      const y = Math.floor(index / columns) * height;
      this.#contexts[side].drawImage(bitmap, x, y, width, height, 0, 0, width, height);
      this.#index[side] = index;
      if (!now) continue;
      this.#seen[side][index] = 1;
      this.framesDrawn += 1;
    }
    if (now && this.firstFrameAt === null) this.firstFrameAt = now;
  }
}
