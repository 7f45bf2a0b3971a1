// The page of one block, transaction or address: what is asked for it, and how it is laid out.

import { showAddress } from './page_address.js';
import { showBlock } from './page_block.js';
import { showTransaction } from './page_transaction.js';
import { el } from './dom.js';

const PAGES = {
  block: ['Block', showBlock],
  tx: ['Transaction', showTransaction],
  address: ['Address', showAddress],
};

/** Shows a page. What comes after the reader has gone on is thrown away. */
export function showDetails(root, kind, id) {
  const [name, show] = PAGES[kind];
  // A page that says of itself that it `waits` is read again with each new block.
  const page = { left: false, waits: false, head: null };
  const put = (...content) => page.left || root.replaceChildren(back(), ...content);
  const load = async () => {
    root.setAttribute('aria-busy', 'true');
    try {
      put(...(await show(id, page)));
    } catch (error) {
      put(el('h1', {}, name), failure(error, load));
    }
    root.removeAttribute('aria-busy');
  };
  put(el('h1', {}, name), el('p', { class: 'empty' }, 'Loading…'));
  load();
  return {
    leave: () => (page.left = true),
    onHead(height) {
      if (page.waits && page.head !== null && page.head !== height) load();
      page.head = height;
    },
  };
}

const back = () => el('nav', {}, el('a', { href: '#/' }, 'Overview'));

function failure(error, again) {
  const button = el('button', { type: 'button', onclick: again }, 'Try again');
  return el('section', { class: 'card' }, el('p', { class: 'notice bad', role: 'alert' }, error.message), button);
}
