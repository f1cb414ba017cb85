// The questions after the last trial: a form that says which of them still need an answer.

import { say } from './text.js';

// A group of choices is one field, told of as a whole.
const fieldOf = (control) => control.closest('fieldset') ?? control;

function mark(field, invalid) {
  if (invalid) {
    field.setAttribute('aria-invalid', 'true');
    field.setAttribute('aria-describedby', 'missing');
  } else {
    field.removeAttribute('aria-invalid');
    field.removeAttribute('aria-describedby');
  }
}

/** Mark the fields that need an answer and go to the first; returns whether there is none. */
function complete(form) {
  const controls = [...form.querySelectorAll('input, textarea')];
  for (const control of controls) mark(fieldOf(control), !control.validity.valid);
  const first = controls.find((control) => !control.validity.valid);
  const message = document.getElementById('missing');
  message.hidden = !first;
  if (first) {
    message.textContent = say('last.missing'); // written anew, or it would be said only once
    first.focus();
  }
  return !first;
}

// The browser asks before it throws away what was typed.
const ask = (event) => event.preventDefault();
let typed = false;

/** Whether the form holds what the server does not have. */
export const unsent = () => typed;

/** What was typed has been handed in, or never can be. */
export function letGo() {
  typed = false;
  window.removeEventListener('beforeunload', ask);
}

/** Wait until the form is handed in complete; returns its answers. */
export function filledIn(form) {
  form.oninput = () => {
    typed = true;
    window.addEventListener('beforeunload', ask);
  };
  return new Promise((done) => {
    // It stays: the second half of a double click would submit the form to another page.
    form.onsubmit = (event) => {
      event.preventDefault();
      if (complete(form)) done(Object.fromEntries(new FormData(form)));
    };
  });
}
