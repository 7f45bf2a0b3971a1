// What was typed becomes a page: a height, a hash of a block or a transaction, or an address.

import { ApiError, batch } from './api.js';
import { byId, links, setText } from './dom.js';

/** The page for what was typed, or a sentence about why there is none. */
async function find(query) {
  const plain = query.trim().replace(/^#/, '');
  const height = plain.replaceAll(/[,_\s]/g, '');
  if (/^\d{1,15}$/.test(height)) return { page: links.block(Number(height)) };
  if (/^0x[0-9a-f]{40}$/i.test(plain)) return { page: links.address(plain.toLowerCase()) };
  if (/^0x[0-9a-f]{64}$/i.test(plain)) return findHash(plain.toLowerCase());
  if (plain === '') return { sentence: 'Type a block number, a hash or an address.' };
  return { sentence: 'That is no block number, no hash (0x and 64 digits) and no address (0x and 40 digits).' };
}

/** A hash says itself nothing of what it is of. One that is neither may still be a refused block, or a dropped transaction. */
async function findHash(hash) {
  const [block, status, explained] = await batch([
    ['eth_getBlockByHash', hash, false],
    ['callboard_transactionStatus', hash],
    ['callboard_explainBlock', hash],
  ]);
  const found = (answer) => answer !== null && !(answer instanceof ApiError);
  if (found(block) || (found(explained) && !found(status))) return { page: links.block(hash) };
  if (found(status)) return { page: links.transaction(hash) };
  return { sentence: 'This node knows neither a block nor a transaction with this hash.' };
}

/** Makes the search work, also from the keyboard: `/` goes there. */
export function startSearch() {
  const [form, input, answer] = [byId('search'), byId('query'), byId('answer')];
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    setText(answer, 'Searching…');
    const found = await find(input.value).catch((error) => ({ sentence: error.message }));
    setText(answer, found.sentence ?? '');
    if (!found.page) return;
    input.value = '';
    location.hash = found.page;
  });
  input.addEventListener('input', () => setText(answer, ''));
  addEventListener('keydown', (event) => {
    const typing = event.target.closest?.('input, textarea, select, [contenteditable]');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
    } else if (event.key === 'Escape' && event.target === input) {
      input.value = '';
      setText(answer, '');
      byId('content').focus();
    }
  });
}
