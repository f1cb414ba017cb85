// A preview: whether this device will do, and an example, one practice pair that plays in step.
// Nothing is sent to the server.

import { reducedMotion, refusal } from '../rating/device.js';
import { Pairs } from '../rating/media.js';
import { SpritePlayer } from '../rating/sprites.js';
import { say } from '../rating/text.js';
import { VideoPlayer } from '../rating/videos.js';

const GAP = 24;
const REFRESH_MS = 1000 / 60; // of most screens; nothing is measured here

const { layout, devices } = JSON.parse(document.getElementById('config').dataset.config);
const stage = document.getElementById('stage'); // only where there is an example
const button = document.getElementById('pause');
const waits = document.getElementById('waits');

/** Who accepts on a device that will not do could only return the HIT. */
function warn() {
  const problem = refusal(layout, devices);
  if (!problem) return;
  const note = document.getElementById('unfit');
  note.textContent = `${problem} ${say('mturk.decline')}`;
  note.hidden = false;
  document.getElementById('accept').hidden = true;
}

function label(player) { button.textContent = say(player.running ? 'trial.pause' : 'trial.play'); }

async function play() {
  const sample = JSON.parse(stage.dataset.sample);
  const pair = await new Pairs().fetch(sample);
  const Player = sample.left.layout.kind === 'video' ? VideoPlayer : SpritePlayer;
  const player = new Player(pair, {
    onTick: () => {},
    onRefused: () => {
      waits.textContent = say('trial.blocked');
      label(player);
    },
    refreshMs: REFRESH_MS,
  });
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
  button.hidden = false;
  button.addEventListener('click', () => {
    if (player.running) player.pause();
    else player.resume();
    waits.textContent = '';
    label(player);
  });
  if (reducedMotion()) player.poster();
  else await player.start();
  label(player);
}

warn();
// Without the example the instructions still say it all.
if (stage) play().catch(() => { stage.hidden = true; });
