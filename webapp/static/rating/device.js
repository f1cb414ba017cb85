// What the rater's screen can do, measured before the first trial.

import { say } from './text.js';

const MARGIN = { width: 40, height: 216 }; // CSS pixels around two clips: bar, question, buttons
const GAP = 24;
const H264 = 'video/mp4; codecs="avc1.64001F"'; // High profile, as the clips are encoded

const matches = (query) => window.matchMedia(query).matches;

export const reducedMotion = () => matches('(prefers-reduced-motion: reduce)');

/** CSS pixels that two clips of this layout need, with everything around them. */
export function needed(layout) {
  const width = Math.round(layout.width * layout.scale);
  const height = Math.round(layout.height * layout.scale);
  return { width: 2 * width + GAP + MARGIN.width, height: height + MARGIN.height };
}

const holds = (width, height, room) => width >= room.width && height >= room.height;

/** `desktop`, `tablet` or `phone`: by what the device is operated with, then by its size. */
export function kindOfDevice() {
  if (matches('(any-pointer: fine)') || matches('(any-hover: hover)')) return 'desktop';
  return Math.min(screen.width, screen.height) < 600 ? 'phone' : 'tablet';
}

/** Why this device cannot take part at all, or null. */
export function refusal(layout, devices) {
  const kind = kindOfDevice();
  if (!devices.includes(kind)) {
    return say(devices.includes('tablet') ? 'device.tablet' : 'device.computer');
  }
  const room = needed(layout);
  // Turned is no smaller; and iPads tell the size of their upright screen, however they are held.
  if (!holds(screen.width, screen.height, room) && !holds(screen.height, screen.width, room)) {
    return say('device.screen', {
      ...room, screen_width: screen.width, screen_height: screen.height,
    });
  }
  if (layout.kind === 'video' && !document.createElement('video').canPlayType(H264)) {
    return say('device.video');
  }
  return null;
}

/** What to do when only the window is too small, or null. */
export function tooSmall(layout) {
  const room = needed(layout);
  const { innerWidth: width, innerHeight: height } = window;
  if (holds(width, height, room)) return null;
  const turned = kindOfDevice() !== 'desktop' && holds(height, width, room);
  return say(turned ? 'device.turn' : 'device.window', {
    ...room, window_width: width, window_height: height,
  });
}

/** The middle number, undefined where there is none. */
export const median = (numbers) => (
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
);

/** Median time between two animation frames, in ms. */
export async function refreshInterval(frames = 12) {
  const times = [];
  await new Promise((done) => {
    const tick = (now) => {
      times.push(now);
      if (times.length > frames) done();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  return median(times.slice(1).map((time, i) => time - times[i]));
}

/** What is stored once per session. */
export function describe(refreshMs) {
  return {
    screen: [screen.width, screen.height],
    viewport: [window.innerWidth, window.innerHeight],
    device_pixel_ratio: window.devicePixelRatio,
    device: kindOfDevice(),
    reduced_motion: reducedMotion(),
    refresh_hz: Math.round(10000 / refreshMs) / 10,
    gamut: ['rec2020', 'p3', 'srgb'].find((name) => matches(`(color-gamut: ${name})`)) ?? 'unknown',
    dark_scheme: matches('(prefers-color-scheme: dark)'),
    languages: navigator.languages?.join(',') ?? '',
    framed: window.parent !== window,
  };
}
