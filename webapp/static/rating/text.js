// What the page says, in its language: the texts come with the page, by key.

const { text } = JSON.parse(document.getElementById('config').dataset.config);

/** The text of a key, with its `{names}` set in. */
export function say(key, values = {}) {
  return text[key].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
