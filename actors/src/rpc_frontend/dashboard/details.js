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

/** Shows a page, where the newest block is `head`. What comes after the reader has gone on is thrown away. */
export function showDetails(root, kind, id, head) {
  const [name, show] = PAGES[kind];
  const page = { left: false, loads: 0, waits: false, head };
  const put = (...content) => root.replaceChildren(back(), ...content);
  const load = async () => {
    page.loads += 1;
    const [turn, at, told] = [page.loads, page.head, { waits: false }];
    root.setAttribute('aria-busy', 'true');
    const content = await show(id, told).catch((error) => [el('h1', {}, name), failure(error, load)]);
    if (page.left || turn !== page.loads) return;
    put(...content);
    root.removeAttribute('aria-busy');
    page.waits = told.waits;
    // What it waits for may have come while it was read.
    if (page.waits && at !== page.head) load();
  };
  put(el('h1', {}, name), el('p', { class: 'empty' }, 'Loading…'));
  load();
  return {
    leave: () => (page.left = true),
    /** A page that says of itself that it `waits` is read again with each new block. */
    onHead(height) {
      if (height === page.head) return;
      page.head = height;
      if (page.waits) load();
    },
  };
}

const back = () => el('nav', {}, el('a', { href: '#/' }, 'Overview'));

function failure(error, again) {
  const button = el('button', { type: 'button', onclick: again }, 'Try again');
  return el('section', { class: 'card' }, el('p', { class: 'notice bad', role: 'alert' }, error.message), button);
}
