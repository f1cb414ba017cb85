// Keeps the page fresh: asks for its changing part, and puts it in where it has changed.

const EVERY_MS = 10_000;
const PATIENCE_MS = 20_000; // a connection can die without a word
const live = document.getElementById('live');
const lost = document.getElementById('lost');
let etag = '';
let busy = false;

/** Put new numbers in without taking away what the reader holds: focus, open remarks, scrolling. */
function replace(html) {
  const focused = document.activeElement?.id;
  const open = [...live.querySelectorAll('details[open]')].map((part) => part.id);
  const scrolled = [...live.querySelectorAll('.scroll')].map((part) => [part.id, part.scrollLeft]);
  live.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute('open', '');
  for (const [id, left] of scrolled) document.getElementById(id)?.scrollTo({ left });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

async function refresh() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const headers = etag ? { 'If-None-Match': etag } : {};
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const reply = await fetch(live.dataset.url, { headers, signal, cache: 'no-store' });
    if (reply.status !== 304) {
      if (!reply.ok) throw new Error(String(reply.status));
      const html = await reply.text();
      etag = reply.headers.get('ETag') ?? '';
      if (window.getSelection().isCollapsed) replace(html);
      else etag = ''; // somebody is copying: next time
    }
    lost.textContent = '';
  } catch {
    lost.textContent = 'The server does not answer; the numbers stand still. Trying again.';
  } finally {
    busy = false;
  }
}

const waiting = () => live.querySelector('.waiting') !== null;
setInterval(refresh, EVERY_MS);
setInterval(() => { if (waiting()) refresh(); }, 2000);
document.addEventListener('visibilitychange', refresh);
