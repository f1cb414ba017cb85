// Handing a finished session in to the platform whose frame this page is in.

const AGAIN_MS = 5000; // after a submission that led nowhere, the button works again

/** A form POST by the browser itself: the platform takes nothing else from another site. */
export class HandIn {
  #form = document.getElementById('hand-in');

  #button = this.#form.querySelector('button');

  constructor(action) {
    this.#form.action = action;
    this.#form.addEventListener('submit', () => {
      // After the event, or the button's own submission would be stopped.
      setTimeout(() => { this.#button.disabled = true; }, 0);
      setTimeout(() => { this.#button.disabled = false; }, AGAIN_MS);
    });
  }

  /** Put the receipt's fields into the form. */
  prepare(receipt) {
    for (const old of this.#form.querySelectorAll('input')) old.remove();
    for (const [name, value] of Object.entries(receipt)) {
      const field = document.createElement('input');
      Object.assign(field, { type: 'hidden', name, value });
      this.#form.append(field);
    }
  }

  send() { this.#form.requestSubmit(); }
}
