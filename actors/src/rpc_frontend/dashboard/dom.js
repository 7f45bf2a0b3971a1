// Making and changing elements. What comes from the node is only ever text: nothing here takes markup.

import { ago, moment, short } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'onclick') element.addEventListener('click', value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element; strings among the children become text. */
export const el = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);

/** An SVG element. */
export const svg = (tag, attributes = {}, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

/** Changes an element's text, where it is another one: what stays is not touched, so that a selection survives. */
export function setText(element, text) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
}

/** Fills the elements that name a slot: with text, or with an element. */
export function fill(root, values) {
  for (const [slot, value] of Object.entries(values)) {
    const element = root.querySelector(`[data-slot="${slot}"]`);
    if (value instanceof Node) {
      if (!element.firstChild?.isEqualNode?.(value) || element.childNodes.length !== 1) element.replaceChildren(value);
    } else {
      setText(element, value);
    }
  }
}

/** Keeps one child of `parent` for each item, in order. Children whose item is still there stay, with focus and all. */
export function keep(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const names = new Set();
  let before = parent.firstElementChild;
  for (const item of items) {
    let name = String(key(item));
    while (names.has(name)) name += ' again';
    names.add(name);
    let child = known.get(name);
    if (child) {
      known.delete(name);
    } else {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === before) before = before.nextElementSibling;
    else parent.insertBefore(child, before);
    update(child, item);
  }
  for (const child of known.values()) child.remove();
}

/** A time that stays right while the page is open. */
export const time = (seconds) => {
  const element = el('time', { datetime: new Date(seconds * 1_000).toISOString(), title: moment(seconds) }, ago(seconds));
  element.dataset.at = seconds;
  return element;
};

setInterval(() => {
  for (const element of document.querySelectorAll('time[data-at]')) setText(element, ago(Number(element.dataset.at)));
}, 1_000);

/** Makes `element` show another time. */
export function setTime(element, seconds) {
  if (element.dataset.at === String(seconds)) return;
  element.dataset.at = seconds;
  element.setAttribute('datetime', new Date(seconds * 1_000).toISOString());
  element.title = moment(seconds);
  setText(element, ago(seconds));
}

/** A button that copies a value and says so. */
export function copyButton(value, what) {
  const button = el('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${what}`, title: `Copy ${what}` });
  button.addEventListener('click', async () => {
    const done = await copy(value);
    button.dataset.done = done ? 'yes' : 'no';
    setText(byId('announce'), done ? `Copied ${what}` : `Could not copy ${what}`);
    setTimeout(() => delete button.dataset.done, 1_500);
  });
  return button;
}

async function copy(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    // Only secure contexts have a clipboard, and a node is often reached by plain HTTP.
    const area = el('textarea', { class: 'off', 'aria-hidden': 'true' });
    area.value = value;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/** A hash, an id or an address: short, whole on request, with a button that copies it, and linked where `href` is. */
export function hash(value, { href = null, what = 'hash', whole = false } = {}) {
  const shown = el('span', { class: 'mono', title: value }, whole ? value : short(value));
  const name = href ? el('a', { href }, shown) : shown;
  return el('span', { class: whole ? 'hash whole' : 'hash' }, name, copyButton(value, what));
}

/** Where a block, a transaction or an address has its page. */
export const links = {
  block: (id) => `#/block/${encodeURIComponent(id)}`,
  transaction: (id) => `#/tx/${encodeURIComponent(id)}`,
  address: (id) => `#/address/${encodeURIComponent(id)}`,
};
