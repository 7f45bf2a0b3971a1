// A transaction: what it does, what became of it, and its way where it is in no block.

import { ApiError, batch, number } from './api.js';
import { el, hash, links } from './dom.js';
import { addressLink, card, data, facts, statusChip, timed } from './layout.js';
import { count, short, wei } from './format.js';

const TYPES = { '0x0': 'legacy', '0x1': 'access list (EIP-2930)', '0x2': 'dynamic fee (EIP-1559)', '0x4': 'set code (EIP-7702)' };

export async function showTransaction(id, told) {
  if (!/^0x[0-9a-f]{64}$/i.test(id)) throw new Error('A transaction is named by its hash: 0x and 64 digits.');
  const value = id.toLowerCase();
  const [transaction, receipt, status] = await batch([
    ['eth_getTransactionByHash', value],
    ['eth_getTransactionReceipt', value],
    ['callboard_transactionStatus', value],
  ]);
  if (transaction instanceof ApiError) throw transaction;
  const known = !(status instanceof ApiError);
  if (transaction === null && !known) throw new Error('This node knows no transaction with this hash.');
  const included = receipt && !(receipt instanceof ApiError) ? receipt : null;
  told.waits = included === null;
  const content = [el('h1', {}, 'Transaction'), summary(value, transaction, included, known ? status : null)];
  if (transaction) content.push(card('Data', data(transaction.input)));
  if (included?.logs.length > 0) content.push(logs(included.logs));
  if (known && status.status !== 'included') content.push(timeline(status));
  return content;
}

function summary(value, transaction, receipt, status) {
  const outcome = receipt ? (receipt.status === '0x1' ? 'confirmed' : 'failed') : status?.status ?? 'pending';
  const height = receipt ? number(receipt.blockNumber) : null;
  const pairs = [
    ['Hash', hash(value, { what: 'transaction hash', whole: true })],
    ['Status', el('span', {}, statusChip(outcome), status?.reason ? ` ${status.reason}` : '')],
    ['Waits for', status?.waitingFor ? waiting(status.waitingFor) : null],
    ['Block', receipt ? el('span', {}, el('a', { href: links.block(height) }, count(height)), `, place ${count(number(receipt.transactionIndex))}`) : null],
  ];
  if (transaction) pairs.push(...fields(transaction, receipt));
  return card('Summary', facts(pairs));
}

const fields = (transaction, receipt) => [
  ['Time', transaction.blockTimestamp ? timed(number(transaction.blockTimestamp)) : null],
  ['From', addressLink(transaction.from, true)],
  ['To', addressLink(transaction.to, true)],
  ['Creates', receipt?.contractAddress ? addressLink(receipt.contractAddress, true) : null],
  ['Value', wei(transaction.value)],
  ['Nonce', count(number(transaction.nonce))],
  ['Gas', receipt ? `${count(number(receipt.gasUsed))} of ${count(number(transaction.gas))}` : `limit ${count(number(transaction.gas))}`],
  ['Gas price', receipt ? wei(receipt.effectiveGasPrice) : wei(transaction.maxFeePerGas ?? transaction.gasPrice ?? '0x0')],
  ['Type', TYPES[transaction.type] ?? transaction.type],
];

function waiting({ nonces, funds }) {
  const range = ({ from, to }) => (from === to ? count(from) : `${count(from)} to ${count(to)}`);
  if (nonces) return `the nonces ${nonces.map(range).join(', ')}`;
  return funds ? `funds: it needs ${wei(funds.required)}, the sender has ${wei(funds.balance)}` : 'nothing';
}

function logs(list) {
  const one = ({ address, topics, data: bytes, logIndex }) => el('li', {}, facts([
    ['Index', count(number(logIndex))],
    ['Contract', addressLink(address, true)],
    ['Topics', topics.length > 0 ? el('ol', { class: 'plain', start: 0 }, topics.map((topic) => el('li', { class: 'mono' }, topic))) : 'none'],
    ['Data', data(bytes)],
  ]));
  return card('Logs', el('ul', { class: 'list' }, list.map(one)));
}

function timeline({ timeline: entries }) {
  const one = ({ at, step, times, last, ...details }) => {
    const told = Object.entries(details).map(([name, value]) => `${name} ${[value].flat().map((item) => short(String(item), 10, 6)).join(', ')}`);
    return el('li', {}, el('b', {}, step), ` ${told.join(', ')} `, el('small', {}, timed(last ?? at), times > 1 ? `, ${count(times)} times` : ''));
  };
  return card('Its way', el('ol', { class: 'timeline' }, entries.map(one)));
}
