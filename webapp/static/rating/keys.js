// The keyboard, by the place of a key rather than its letter, so that layouts do not matter.

const CHOICES = {
  KeyF: 'left', ArrowLeft: 'left', KeyJ: 'right', ArrowRight: 'right', KeyG: 'tie', ArrowDown: 'tie',
};

const isControl = (target) => target instanceof Element
  && target.closest('button, a, input, textarea, select, summary') !== null;

/** Whether an arrow key can scroll the page: then that is what it is pressed for. */
function scrolls(code) {
  const page = document.documentElement;
  return code === 'ArrowDown' ? page.scrollHeight > page.clientHeight
    : code.startsWith('Arrow') && page.scrollWidth > page.clientWidth;
}

/**
 * Say what a key press means here: `{choice}`, `{replay: true}` or null.
 * Held keys and combinations mean nothing; Space on a focused control belongs to the control.
 */
export function meaning(event, allowTie) {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return null;
  if (event.code === 'Space') return isControl(event.target) ? null : { replay: true };
  const choice = CHOICES[event.code];
  if (!choice || (choice === 'tie' && !allowTie) || scrolls(event.code)) return null;
  return { choice };
}
