// An address: what it has, and its transactions, newest first.

import { ApiError, batch, number, rpc } from './api.js';
import { el, hash } from './dom.js';
import { card, facts, moreButton, transactionTable } from './layout.js';
import { bytes, count, wei } from './format.js';

/** Transactions that are read at once. */
const PAGE = 25;

export async function showAddress(id) {
  if (!/^0x[0-9a-f]{40}$/i.test(id)) throw new Error('An address is 0x and 40 digits.');
  const address = id.toLowerCase();
  const answers = await batch([
    ['eth_getBalance', address, 'latest'],
    ['eth_getTransactionCount', address, 'latest'],
    ['eth_getCode', address, 'latest'],
    ['callboard_getTransactionsByAddress', address, { limit: PAGE }],
  ]);
  const lost = answers.find((answer) => answer instanceof ApiError);
  if (lost) throw lost;
  const [balance, nonce, code, page] = answers;
  const length = (code.length - 2) / 2;
  const delegated = code.startsWith('0xef0100') && length === 23 ? `delegated to 0x${code.slice(8)}` : `contract, ${bytes(length)} of code`;
  const summary = card('Account', facts([
    ['Address', hash(address, { what: 'address', whole: true })],
    ['Balance', wei(balance)],
    ['Nonce', count(number(nonce))],
    ['Kind', length === 0 ? 'no code' : delegated],
  ]));
  return [el('h1', {}, 'Address'), summary, transactions(address, page)];
}

const row = ({ block_height: height, ...transaction }) => ({ ...transaction, height });

function transactions(address, first) {
  if (first.transactions.length === 0) return card('Transactions', el('p', { class: 'empty' }, 'This address has neither sent nor received a transaction.'));
  const table = transactionTable(first.transactions.map(row), address);
  let { next } = first;
  const more = moreButton('Older transactions', async () => {
    const page = await rpc('callboard_getTransactionsByAddress', address, { limit: PAGE, before: next });
    table.tBodies[0].append(...transactionTable(page.transactions.map(row), address).tBodies[0].rows);
    next = page.next;
    return next !== null;
  });
  return card('Transactions', table, next === null ? null : more);
}
