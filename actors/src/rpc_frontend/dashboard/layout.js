// What the pages of blocks, transactions and addresses have in common.

import { el, hash, links, time } from './dom.js';
import { NOTHING, bytes, count, moment, text, wei } from './format.js';

/** How much data is shown before the reader asks for all of it, characters. */
const SHOWN_DATA = 512;

/** Names and values. A value that is `null` has no line. */
export const facts = (pairs) =>
  el('dl', { class: 'facts' }, pairs.filter(([, value]) => value !== null).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));

/** A card with a heading. */
export const card = (title, ...content) => el('section', { class: 'card' }, el('h2', {}, title), ...content);

/** When something was, in both ways people ask. */
export const timed = (seconds) => el('span', {}, moment(seconds), ' (', time(seconds), ')');

export const addressLink = (address, whole = false) => (address ? hash(address, { href: links.address(address), what: 'address', whole }) : 'creates a contract');

/** Data of a transaction: as text where it is text, always as it is, and long data only where it is asked for. */
export function data(value) {
  const length = (value.length - 2) / 2;
  if (length === 0) return 'none';
  const whole = (all) => (all.length > SHOWN_DATA ? `${all.slice(0, SHOWN_DATA)}…` : all);
  const decoded = length <= 65_536 ? text(value) : null;
  const hex = el('code', { class: 'data' }, whole(value));
  const parts = [el('span', {}, bytes(length)), hex];
  if (decoded !== null) parts.splice(1, 0, el('q', { class: 'message' }, whole(decoded)));
  if (value.length > SHOWN_DATA) {
    const more = el('button', { type: 'button', onclick: () => { hex.textContent = value; more.remove(); } }, `Show all ${bytes(length)}`);
    parts.push(more);
  }
  return el('div', { class: 'bytes' }, parts);
}

const STATUS = { confirmed: 'good', included: 'good', failed: 'bad', refused: 'bad', dropped: 'bad', pending: 'wait', queued: 'wait' };

/** What became of a transaction. */
export const statusChip = (status) => el('span', { class: `chip small ${STATUS[status] ?? ''}` }, status);

/** Transactions as a table; `own` is the address whose page it is. */
export function transactionTable(transactions, own = null) {
  const columns = ['Transaction', ...(own ? ['Block'] : []), 'From', 'To', 'Value', 'Status'];
  const head = el('thead', {}, el('tr', {}, columns.map((name) => el('th', { scope: 'col', class: name === 'Value' ? 'number' : null }, name))));
  const body = el('tbody', {}, transactions.map((transaction) => transactionRow(transaction, own)));
  return el('table', { class: 'stacked' }, head, body);
}

function transactionRow({ hash: value, height, sender, recipient, value: amount, status }, own) {
  const cell = (label, content, kind = null) => el('td', { 'data-label': label, class: kind }, content);
  const party = (address) => (own && address === own ? 'this address' : addressLink(address));
  const block = own ? [cell('Block', height === null ? NOTHING : el('a', { href: links.block(height) }, count(height)))] : [];
  const first = cell('Transaction', hash(value, { href: links.transaction(value), what: 'transaction hash' }));
  return el('tr', {}, first, block, cell('From', party(sender)), cell('To', party(recipient)), cell('Value', wei(amount), 'number'), cell('Status', statusChip(status)));
}

/** A button that adds what `more` answers to `place`, until there is no more. `more` answers whether there is. */
export function moreButton(label, more) {
  const button = el('button', { type: 'button', class: 'more' }, label);
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      if (!(await more())) button.remove();
      button.textContent = label;
    } catch (error) {
      button.textContent = `${error.message}. Try again`;
    }
    button.disabled = false;
  });
  return button;
}
