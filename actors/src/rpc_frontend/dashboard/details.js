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
  const page = { root, id, left: false, name, leave: () => (page.left = true) };
  const load = async () => {
    root.replaceChildren(back(), el('h1', {}, name), el('p', { class: 'empty' }, 'Loading…'));
    root.setAttribute('aria-busy', 'true');
    try {
      const content = await show(id, page);
      if (!page.left) root.replaceChildren(back(), ...content);
    } catch (error) {
      if (!page.left) root.replaceChildren(back(), el('h1', {}, name), failure(error, load));
    }
    root.removeAttribute('aria-busy');
  };
  load();
  return page;
}

const back = () => el('nav', {}, el('a', { href: '#/' }, 'Overview'));

function failure(error, again) {
  const button = el('button', { type: 'button', onclick: again }, 'Try again');
  return el('section', { class: 'card' }, el('p', { class: 'notice bad', role: 'alert' }, error.message), button);
}
