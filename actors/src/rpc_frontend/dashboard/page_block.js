// A block: its header, its way into this node, what was checked, its transactions; or why it was refused.

import { ApiError, batch, number, quantity } from './api.js';
import { el, hash, links } from './dom.js';
import { addressLink, card, facts, moreButton, timed, transactionTable } from './layout.js';
import { NOTHING, bytes, count, counted, moment, percent, short, wei } from './format.js';

/** Transactions that are read at once. */
const PAGE = 25;

const isHash = (id) => /^0x[0-9a-f]{64}$/i.test(id);
const failed = (answer) => answer instanceof ApiError;

export async function showBlock(id) {
  if (!isHash(id) && !/^\d{1,15}$/.test(id)) throw new Error('A block is named by its number, or by its hash: 0x and 64 digits.');
  const name = isHash(id) ? id.toLowerCase() : Number(id);
  const ask = isHash(id) ? ['eth_getBlockByHash', name, false] : ['eth_getBlockByNumber', quantity(name), false];
  const [block, explained, head] = await batch([ask, ['callboard_explainBlock', name], ['eth_blockNumber']]);
  if (failed(block)) throw block;
  if (block === null && failed(explained)) throw new Error(missing(name, head));
  const told = failed(explained) ? null : explained;
  if (block === null) return [el('h1', {}, 'Refused block'), refusals(told)];
  return confirmed(block, told, failed(head) ? null : number(head));
}

function missing(name, head) {
  if (typeof name === 'string') return 'This node knows no block with this hash.';
  const newest = failed(head) ? '' : ` The newest is block ${count(number(head))}.`;
  return `Block ${count(name)} is not there.${newest}`;
}

async function confirmed(block, told, head) {
  const height = number(block.number);
  const content = [el('h1', {}, `Block ${count(height)}`), neighbours(height, head), header(block)];
  if (told?.confirmed) content.push(passport(told.confirmed));
  content.push(await transactions(block));
  if (told?.refusals.length > 0) content.push(refusals(told));
  return content;
}

function neighbours(height, head) {
  const link = (to, label) => el('a', { href: links.block(to) }, label);
  const before = height > 0 ? link(height - 1, `← Block ${count(height - 1)}`) : null;
  const after = head === null || height < head ? link(height + 1, `Block ${count(height + 1)} →`) : null;
  return el('nav', { class: 'neighbours', 'aria-label': 'Neighbouring blocks' }, before, after);
}

function header(block) {
  const [used, limit] = [number(block.gasUsed), number(block.gasLimit)];
  const whole = (value, what) => hash(value, { what, whole: true });
  return card('Header', facts([
    ['Hash', whole(block.hash, 'block hash')],
    ['Parent', hash(block.parentHash, { href: links.block(block.parentHash), what: 'parent hash', whole: true })],
    ['Sealed', timed(number(block.timestamp))],
    ['Authority', addressLink(block.miner, true)],
    ['Transactions', count(block.transactions.length)],
    ['Gas used', `${count(used)} of ${count(limit)} (${percent(used / limit)})`],
    ['Base fee', wei(block.baseFeePerGas)],
    ['Size', bytes(number(block.size))],
    ['State root', whole(block.stateRoot, 'state root')],
    ['Receipts root', whole(block.receiptsRoot, 'receipts root')],
    ['Transactions root', whole(block.transactionsRoot, 'transactions root')],
  ]));
}

const PATHS = {
  sealed: 'sealed here',
  stream: 'from a peer, while catching up',
  live: 'from a peer, as it was sealed',
  push: 'pushed by a peer',
  importBlock: 'posted to importBlock',
  file: 'from a file',
};

function passport({ passport: way, checks }) {
  const good = checks.filter(({ outcome }) => outcome === 'passed' || outcome === 'built').length;
  const list = el('details', {}, el('summary', {}, `${good} of ${counted(checks.length, 'check')} hold`), el('ul', { class: 'checks' }, checks.map(check)));
  if (!way) return card('Its way into this node', el('p', { class: 'empty' }, 'Only the disk knows this block: it came before the last start.'), list);
  const pairs = [
    ['Came', PATHS[way.path] ?? way.path],
    ['From', way.peer ? el('span', {}, hash(way.peer, { what: 'node id' }), ' ', way.url ?? '') : way.operator ?? null],
    ['Routes', way.routes.length > 0 ? way.routes.join(', ') : NOTHING],
    ['Received', precise(way.receivedAt)],
    ['Verified', precise(way.verifiedAt, way.receivedAt)],
    ['Executed', precise(way.executedAt, way.verifiedAt)],
    ['Durable', precise(way.durableAt, way.executedAt)],
    ['Served to', way.served.length > 0 ? `${way.served.map(({ peer }) => short(peer, 8)).join(', ')}${way.servedMore ? ` and ${count(way.servedMore)} more` : ''}` : null],
  ];
  return card('Its way into this node', facts(pairs), list);
}

/** A time to the millisecond, and how long it took since the step before. */
function precise(at, before = null) {
  if (!at) return null;
  const took = before ? ` (+${count(Math.max(0, Math.round((at - before) * 1_000)))} ms)` : '';
  return `${moment(at)}.${String(Math.floor((at % 1) * 1_000)).padStart(3, '0')}${took}`;
}

const MARKS = { passed: '✓', built: '✓', failed: '✗' };

const check = ({ check: name, demands, outcome, expected, actual }) =>
  el('li', { 'data-outcome': outcome }, el('b', {}, `${MARKS[outcome] ?? '·'} ${name}`), ` ${demands}`,
    outcome === 'failed' ? el('span', { class: 'sides' }, `expected ${expected ?? NOTHING}, actual ${actual ?? NOTHING}`) : null);

function refusals({ refusals: list }) {
  const one = ({ check: name, message, expected, actual, blame, sender, url, path, count: times, time: first, lastTime, finding, remedy, checks, height }) => el('li', {}, facts([
    ['Height', height === null || height === undefined ? null : count(height)],
    ['Check', name],
    ['Reason', message],
    ['Expected', expected ? el('code', { class: 'data' }, String(expected)) : null],
    ['Actual', actual ? el('code', { class: 'data' }, String(actual)) : null],
    ['Blame', blame],
    ['From', [sender, url, path].filter(Boolean).join(' · ')],
    ['When', el('span', {}, timed(lastTime ?? first), times > 1 ? `, ${count(times)} times` : '')],
    ['Finding', finding ? (typeof finding === 'string' ? finding : JSON.stringify(finding)) : null],
    ['What to do', remedy ?? null],
  ]), checks ? el('details', {}, el('summary', {}, 'Checks'), el('ul', { class: 'checks' }, checks.map(check))) : null);
  return card('Refusals', el('ul', { class: 'list' }, list.map(one)));
}

async function transactions({ transactions: hashes }) {
  if (hashes.length === 0) return card('Transactions', el('p', { class: 'empty' }, 'No transactions: a heartbeat, or the genesis.'));
  const table = transactionTable(await read(hashes.slice(0, PAGE)));
  let shown = PAGE;
  const more = moreButton(`Show ${PAGE} more`, async () => {
    const next = transactionTable(await read(hashes.slice(shown, shown + PAGE)));
    table.tBodies[0].append(...next.tBodies[0].rows);
    shown += PAGE;
    return shown < hashes.length;
  });
  return card(`${counted(hashes.length, 'transaction')}`, table, hashes.length > PAGE ? more : null);
}

async function read(hashes) {
  const answers = await batch(hashes.flatMap((hash) => [['eth_getTransactionByHash', hash], ['eth_getTransactionReceipt', hash]]));
  const lost = answers.find(failed);
  if (lost) throw lost;
  return hashes.map((value, index) => {
    const [{ from, to, value: amount }, { status }] = [answers[2 * index], answers[2 * index + 1]];
    return { hash: value, height: null, sender: from, recipient: to, value: amount, status: status === '0x1' ? 'confirmed' : 'failed' };
  });
}

