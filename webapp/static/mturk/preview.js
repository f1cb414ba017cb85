// The example in a preview: one practice pair, playing in step; nothing is sent to the server.

import { reducedMotion } from '../rating/device.js';
import { Pairs } from '../rating/media.js';
import { SpritePlayer } from '../rating/sprites.js';
import { say } from '../rating/text.js';
import { VideoPlayer } from '../rating/videos.js';

const GAP = 24;
const REFRESH_MS = 1000 / 60; // of most screens; nothing is measured here

const stage = document.getElementById('stage');
const button = document.getElementById('pause');
const sample = JSON.parse(stage.dataset.sample);

function label(player) { button.textContent = say(player.running ? 'trial.pause' : 'trial.play'); }

async function play() {
  const pair = await new Pairs().fetch(sample);
  const Player = sample.left.layout.kind === 'video' ? VideoPlayer : SpritePlayer;
  const player = new Player(pair, { onTick: () => {}, refreshMs: REFRESH_MS });
  for (const side of ['left', 'right']) {
    const { width, height, scale } = sample[side].layout;
    // The sheet of text is narrower than the page that pairs are rated on.
    const fit = Math.min(scale, (stage.clientWidth - GAP) / 2 / width);
    const element = player.element(side);
    element.style.width = `${Math.round(width * fit)}px`;
    element.style.height = `${Math.round(height * fit)}px`;
    element.setAttribute('role', 'img');
    element.setAttribute('aria-label', say(`trial.${side}_clip`));
    stage.querySelector(`[data-side=${side}] .frame`).replaceChildren(element);
  }
  if (reducedMotion()) player.poster();
  else player.start();
  button.hidden = false;
  button.addEventListener('click', () => {
    if (player.running) player.pause();
    else player.resume();
    label(player);
  });
  label(player);
}

// Without the example the instructions still say it all.
play().catch(() => { stage.hidden = true; });
