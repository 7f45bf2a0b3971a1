// The panels of the overview, apart from map and table of the actors: each shows a part of what the feed holds.

import { el, fill, hash, keep, links, setText, setTime, time } from './dom.js';
import { NOTHING, ago, count, counted, duration, moment, percent, rate } from './format.js';
import { facts } from './layout.js';
import { number } from './api.js';

/** What the shares of the stages are. */
const HINTS = {
  authority: 'An authority seals its own blocks: the pipeline is busy only while it takes blocks back.',
  follower: 'How busy each stage was in the last seconds; to fetch is to wait for blocks that a peer has.',
};

/** What each stage of the pipeline does, and what it means where it holds the others up. */
const STAGES = {
  fetch: ['Fetch', 'blocks from peers', 'The network or the peers hold the sync up: blocks come slower than they are worked on.'],
  verify: ['Verify', 'seals and signatures', 'Checking signatures holds the sync up: more cores would help.'],
  execute: ['Execute', 'transactions', 'Executing transactions holds the sync up: a faster core would help.'],
  root: ['Root', 'state roots', 'Computing state roots holds the sync up.'],
  commit: ['Commit', 'to the disk', 'Writing to the disk holds the sync up: a faster disk would help.'],
};

/** What a node in each phase is doing. */
const PHASES = {
  genesis: 'Genesis',
  replaying: 'Replaying',
  'catching-up': 'Catching up',
  following: 'Following',
  stalled: 'Stalled',
  diverged: 'Diverged',
};

const blockLink = (height) => el('a', { href: links.block(height) }, count(height));

/** The one sentence about the sync. */
function sentence({ phase, role, peers, lastReconciled }, known) {
  const agreeing = peers.filter(({ state }) => state === 'agrees').length;
  const checked = lastReconciled?.ok ? ` The stored state was checked at block ${count(lastReconciled.height)}.` : '';
  switch (phase) {
    case 'genesis':
      return 'The genesis is not known yet: the seeds are asked for it. Until then there is no chain to show.';
    case 'replaying':
      return 'Stored blocks are verified and executed again.';
    case 'catching-up':
      return peers.length === 0 ? 'Catching up: waiting for a peer.' : `Catching up with ${counted(peers.length, 'peer')} connected.`;
    case 'following':
      if (role === 'authority') return `Sealing blocks for ${counted((known ?? []).filter((peer) => rank(peer) < 2).length, 'connected peer')}.${checked}`;
      return agreeing === 0 ? `At the head of the chain; no peer to compare with.${checked}` : `At the head of the chain, in agreement with ${counted(agreeing, 'peer')}.${checked}`;
    case 'stalled':
      return 'Not getting on. The alert above says why.';
    case 'diverged':
      return 'A peer shows another validly sealed chain.';
    default:
      return phase;
  }
}

export function showHeader({ status, connection }, { role, phase, connection: chip }) {
  chip.dataset.state = connection;
  setText(chip, { connecting: 'Connecting', live: 'Live', lost: 'Disconnected' }[connection]);
  setText(role, status ? status.role[0].toUpperCase() + status.role.slice(1) : '');
  setText(phase, status ? (PHASES[status.phase] ?? status.phase) : '');
  phase.dataset.phase = status?.phase ?? '';
}

export function showLost(notice, { connection, problem, heardAt }) {
  const lost = connection === 'lost';
  document.body.classList.toggle('stale', lost);
  if (lost && notice.hidden) {
    const since = heardAt ? [' What you see is from ', el('span', {}), '.'] : [];
    notice.replaceChildren(el('strong', {}, 'The connection to the node is lost'), `: ${problem}.`, ...since, ' Trying again…');
  }
  notice.hidden = !lost;
  const since = notice.querySelector('span');
  if (lost && since) setText(since, ago(heardAt / 1_000));
}

export function showAlerts(section, status) {
  const alerts = status?.alerts ?? [];
  section.hidden = alerts.length === 0 && !status?.divergence;
  showDivergence(section.querySelector('.divergence'), status?.divergence);
  const make = (sentence) => el('li', {}, sentence);
  keep(section.querySelector('ul'), alerts, (sentence) => sentence, make, () => {});
}

export function showHead(section, { status, blocks }) {
  const known = status && status.phase !== 'genesis';
  if (!known) return fill(section, { height: NOTHING, age: 'no block yet', hash: NOTHING, transactions: NOTHING });
  const { height, hash: value, timestamp } = status.head;
  const newest = blocks.find((block) => block.height === height);
  section.dataset.height = height;
  fill(section, {
    height: blockLink(height),
    transactions: newest ? count(newest.tx_count) : NOTHING,
  });
  const age = section.querySelector('[data-slot="age"]');
  if (age.firstElementChild) setTime(age.firstElementChild, timestamp);
  else age.replaceChildren(time(timestamp));
  showHash(section.querySelector('[data-slot="hash"]'), value, links.block(value));
}

/** Puts a hash there, and leaves it alone where it is there already. */
function showHash(place, value, href) {
  if (place.dataset.hash === value) return;
  place.dataset.hash = value;
  place.replaceChildren(hash(value, { href, what: 'block hash' }));
}

export function showSync(section, { status, peers }) {
  if (!status) return;
  const { target, behindBlocks, head, phase } = status;
  const catching = target !== null && behindBlocks > 0;
  fill(section, {
    sentence: sentence(status, peers),
    target: catching ? blockLinkOrNumber(target.height, head.height) : NOTHING,
    behind: phase === 'genesis' ? NOTHING : count(behindBlocks),
    blocks: phase === 'genesis' ? NOTHING : rate(status.blocksPerSecond),
    transactions: phase === 'genesis' ? NOTHING : rate(status.transactionsPerSecond),
    eta: catching ? duration(status.etaSeconds) : NOTHING,
    bottleneck: bottleneck(status),
  });
  const track = section.querySelector('.track');
  track.hidden = !catching;
  if (catching) showProgress(track, head.height, target.height);
}

/** What holds the sync up. Where the node says it in a sentence, that is it; where it names a stage, what that means. */
const bottleneck = ({ bottleneck: named }) => (named ? (STAGES[named]?.[2] ?? named) : '');

const blockLinkOrNumber = (height, head) => (height <= head ? blockLink(height) : count(height));

function showProgress(track, height, target) {
  const share = target === 0 ? 1 : height / target;
  track.setAttribute('aria-valuenow', String(Math.floor(share * 100)));
  track.setAttribute('aria-valuetext', `block ${height} of ${target}`);
  track.firstElementChild.style.setProperty('width', `${share * 100}%`);
}

function showDivergence(place, divergence) {
  place.hidden = !divergence;
  const told = JSON.stringify(divergence);
  if (!divergence || place.dataset.told === told) return;
  place.dataset.told = told;
  const { height, ours, theirs, peer, lastCommonHeight, remedy } = divergence;
    const lines = facts([
    ['Block', count(height)],
    ['Ours', ours ? hash(ours, { href: links.block(ours), whole: true }) : NOTHING],
    ['Theirs', theirs ? hash(theirs, { whole: true }) : NOTHING],
    ['Peer', peer ? hash(String(peer), { what: 'node id' }) : NOTHING],
    ['Last common block', lastCommonHeight === null ? 'none: the genesis differs' : blockLink(lastCommonHeight)],
    ['What to do', remedy ?? null],
  ]);
  place.replaceChildren(lines);
}

export function showPool(section, { pool, pending, status }) {
  fill(section, { pending: pool ? count(number(pool.pending)) : NOTHING, queued: pool ? count(number(pool.queued)) : NOTHING });
  // What has been confirmed since is pending no more.
  const shown = pool && number(pool.pending) + number(pool.queued) > 0 && status?.phase !== 'catching-up' ? pending.slice(0, 3) : [];
  const make = ({ hash: value }) => el('li', {}, hash(value, { href: links.transaction(value), what: 'transaction hash' }));
  keep(section.querySelector('.pending'), shown, ({ hash: value }) => value, make, () => {});
}

export function showStages(section, { status }) {
  const stages = status?.stages ?? [];
  const make = ({ name }) => {
    const [label, what] = STAGES[name] ?? [name, ''];
    const bar = el('span', { class: 'bar' }, el('i', {}));
    return el('li', {}, el('span', { class: 'label' }, label, ' ', el('small', {}, what)), el('b', {}), bar);
  };
  keep(section.querySelector('ol'), stages, ({ name }) => name, make, (item, { name, busy, items }) => {
    item.classList.toggle('bottleneck', name === status.bottleneck);
    item.title = counted(items, 'item');
    setText(item.querySelector('b'), percent(busy));
    item.querySelector('i').style.setProperty('width', `${Math.min(1, busy) * 100}%`);
  });
  section.querySelector('.empty').hidden = stages.length > 0;
  fill(section, { hint: stages.length === 0 ? '' : HINTS[status.role] ?? '' });
}

export function showBlocks(section, { blocks }) {
  const make = ({ height, hash: value, at }) => {
    const number = (content) => el('td', { class: 'number' }, content);
    return el('tr', {}, el('td', {}, blockLink(height)), el('td', {}, hash(value, { href: links.block(value), what: 'block hash' })), number(NOTHING), number(time(at)));
  };
  keep(section.querySelector('tbody'), blocks, ({ height, hash: value }) => `${height} ${value}`, make, (row, block) => {
    row.dataset.height = block.height;
    setText(row.cells[2], count(block.tx_count));
    row.classList.toggle('some', block.tx_count > 0);
  });
  section.querySelector('table').hidden = blocks.length === 0;
  section.querySelector('.empty').hidden = blocks.length > 0;
}

/** Those that are connected first, then by height. */
const rank = ({ state }) => ({ connected: 0, inbound: 1 })[state] ?? 2;

export function showPeers(section, { peers, status }) {
  const sorted = [...(peers ?? [])].sort((a, b) => rank(a) - rank(b) || (b.height ?? -1) - (a.height ?? -1)).slice(0, 64);
  const agreement = new Map((status?.peers ?? []).map(({ id, state }) => [id, state]));
  const make = () =>
    el('li', {}, el('span', { class: 'dot' }), el('span', { class: 'who' }), el('span', { class: 'chip small' }), el('span', { class: 'numbers' }), el('span', { class: 'what' }));
  keep(section.querySelector('ul'), sorted, peerKey, make, (item, peer) => {
    const [, who, chip, numbers, what] = item.children;
    const agrees = agreement.get(peer.id) ?? null;
    Object.assign(item.dataset, { state: peer.state, agrees: agrees ?? '' });
    if (who.dataset.key !== peerKey(peer)) {
      who.dataset.key = peerKey(peer);
      who.replaceChildren(peer.id ? hash(peer.id, { what: 'node id' }) : peer.url ?? 'unknown');
    }
    setText(chip, agrees ?? peer.state);
    setText(numbers, peer.height === null || peer.height === undefined ? NOTHING : `block ${count(peer.height)}`);
    setText(what, peerLine(peer));
  });
  section.querySelector('.empty').hidden = sorted.length > 0 || peers === null;
}

const peerKey = ({ id, url }) => `${id ?? ''} ${url ?? ''}`;

function peerLine({ role, direction, url, score, reason, ban, since, clockSkewSeconds }) {
  const skew = Math.abs(clockSkewSeconds ?? 0) >= 1 ? `clock differs by ${duration(Math.abs(clockSkewSeconds))}` : null;
  const parts = [role, direction, url, score ? `score ${count(score)}` : null, skew, reason, ban ? 'banned' : null];
  return [...parts, since ? `since ${moment(since)}` : null].filter(Boolean).join(' · ');
}

export function showRefusals(section, { refusals }) {
  const key = ({ hash: value, check, time: at, height, count: times }) => `${height} ${value} ${check} ${at} ${times}`;
  const make = (refusal) => {
    const { height, hash: value, message, sender, remedy, count: times } = refusal;
    const name = value ? hash(value, { href: links.block(value), what: 'block hash' }) : 'no block';
    const head = el('p', {}, el('b', {}, height === null || height === undefined ? 'Block' : `Block ${count(height)}`), ' ', name, ' ', time(refusal.lastTime ?? refusal.time), times > 1 ? ` · ${count(times)} times` : '');
    return el('li', {}, head, el('p', {}, message), el('p', { class: 'what' }, `from ${sender ?? 'unknown'} · ${remedy ?? ''}`));
  };
  keep(section.querySelector('ul'), refusals, key, make, () => {});
  section.querySelector('.empty').hidden = refusals.length > 0;
}

export function showFooter(footer, { chain }) {
  if (!chain) return footer.replaceChildren();
  const told = JSON.stringify(chain);
  if (footer.dataset.told === told) return;
  footer.dataset.told = told;
  footer.replaceChildren(
    el('span', {}, chain.version),
    el('span', {}, `chain ${chain.id}`),
    el('span', {}, 'genesis ', hash(chain.genesis, { href: links.block(0), what: 'genesis hash' })),
    el('span', {}, location.host),
  );
}
