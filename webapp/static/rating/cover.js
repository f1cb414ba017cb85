// What stands over a pair that must not run: why it does not, and a button where one can go on.

const byId = (id) => document.getElementById(id);

export class Cover {
  #root = byId('cover');

  #text = this.#root.querySelector('p');

  #button = this.#root.querySelector('button');

  #under; // controls that it may hide, and that the focus must not reach there

  constructor(under, onPress) {
    this.#under = under;
    this.#button.addEventListener('click', onPress);
    // The second half of a double click on it falls on a clip, and is no answer.
    let first = null;
    this.#root.parentElement.addEventListener('click', (event) => {
      if (event.detail <= 1) first = event.target;
      else if (first === this.#button) event.stopPropagation();
    }, true);
  }

  /** What it says; null while it is not there. */
  get text() { return this.#root.hidden ? null : this.#text.textContent; }

  /** Say why; without a label there is no button, because pressing it would not help. */
  show(text, label = '') {
    this.#set(true);
    this.#text.textContent = text; // only now, for those who hear it
    this.#button.textContent = label;
    this.#button.hidden = !label;
    this.#button.focus({ preventScroll: true });
  }

  /** Take it away; returns whether the focus was on it, or nowhere. */
  hide() {
    const { activeElement } = document;
    const had = this.text !== null && [this.#button, document.body].includes(activeElement);
    this.#set(false);
    return had;
  }

  #set(there) {
    this.#root.hidden = !there;
    for (const one of this.#under) one.inert = there;
  }
}
