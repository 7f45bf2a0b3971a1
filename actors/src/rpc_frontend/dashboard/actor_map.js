// The map of the actors: which way blocks and transactions go, lit by what the routing table has counted.

import { count, rate } from './format.js';
import { setText, svg } from './dom.js';

/** How long an edge stays lit, ms: counts come once a second. */
const LIT_FOR = 1_600;
/** Half of what a box measures, and the whole picture. */
const BOX = { wide: [70, 25], narrow: [53, 22] };
const VIEW = { wide: [960, 370], narrow: [340, 512] };
/** How far apart flows run that share an edge. */
const LANE = { import: -5, broadcast: 5, refuse: 4, transaction: 0 };

/** What is on the map, and where: on a wide screen from left to right, on a narrow one from top to bottom. */
const PLACES = {
  peers: { label: 'Peers', outside: true, wide: [84, 100], narrow: [56, 26] },
  operator: { label: 'Operator', outside: true, wide: [84, 230], narrow: [170, 26] },
  clients: { label: 'Clients', outside: true, wide: [84, 330], narrow: [284, 26] },
  SyncCoordinator: { wide: [282, 50], narrow: [56, 118] },
  PeerIntake: { wide: [282, 150], narrow: [170, 118] },
  rpc: { label: 'RpcFrontend', plain: true, wide: [282, 280], narrow: [284, 118] },
  verifier: { label: 'Verifier', wide: [480, 50], narrow: [56, 210] },
  Proposer: { wide: [480, 165], narrow: [170, 210] },
  TxPool: { wide: [480, 280], narrow: [284, 210] },
  ConfirmedState: { wide: [678, 50], narrow: [56, 302] },
  BlockStore: { wide: [876, 50], narrow: [56, 394] },
  Broadcaster: { wide: [876, 190], narrow: [284, 394] },
  others: { label: 'Peers', outside: true, wide: [876, 320], narrow: [284, 486] },
};

const TO_DISK = ['verifier', 'ConfirmedState', 'BlockStore'];
const TO_PEERS = ['BlockStore', 'Broadcaster', 'others'];
const SYNC = ['peers', 'SyncCoordinator', ...TO_DISK];
const POSTED = ['operator', 'rpc', ...TO_DISK];

/** Which way a delivery goes, by route and origin; an origin that is not named takes the way of `*`. */
const WAYS = {
  ImportBlock: ['import', { operator: POSTED, '*': SYNC }],
  BroadcastBlock: ['broadcast', { '*': ['Proposer', 'ConfirmedState', ...TO_PEERS] }],
  RelayBlock: ['broadcast', { '*': TO_PEERS }],
  RefuseBlock: ['refuse', { operator: POSTED.slice(0, 3), '*': SYNC.slice(0, 3) }],
  AlarmBlock: ['refuse', { operator: POSTED.slice(0, 3), '*': SYNC.slice(0, 3) }],
  PoolTransaction: ['transaction', { peer: ['peers', 'PeerIntake', 'TxPool'], '*': ['clients', 'rpc', 'TxPool'] }],
  RelayTransaction: ['transaction', { '*': ['TxPool', 'Broadcaster', 'others'] }],
  ForwardTransaction: ['transaction', { '*': ['TxPool', 'Broadcaster', 'others'] }],
  DropTransaction: ['refuse', { peer: ['peers', 'PeerIntake'], '*': ['clients', 'rpc'] }],
};

const FLOWS = [
  ['import', 'Import', ['ImportBlock']],
  ['broadcast', 'Broadcast and relay', ['BroadcastBlock', 'RelayBlock']],
  ['refuse', 'Refuse', ['RefuseBlock', 'AlarmBlock', 'DropTransaction']],
  ['transaction', 'Transactions', ['PoolTransaction', 'RelayTransaction', 'ForwardTransaction']],
];

/** How fast the dots of a flow go, by how much there is. */
const pace = (perSecond) => (perSecond < 5 ? 'slow' : perSecond < 100 ? 'steady' : 'fast');

/** Every pair of neighbours on some way, with its flow, once. */
function edges() {
  const found = new Map();
  for (const [flow, ways] of Object.values(WAYS)) {
    for (const way of Object.values(ways)) {
      way.slice(1).forEach((to, index) => found.set(`${flow} ${way[index]} ${to}`, { flow, from: way[index], to }));
    }
  }
  return [...found.values()];
}

export class ActorMap {
  constructor(root) {
    Object.assign(this, { root, legend: root.querySelector('.legend'), lit: new Map(), rates: new Map() });
    this.narrow = matchMedia('(max-width: 640px)');
    this.narrow.addEventListener('change', () => this.draw());
    this.drawLegend();
    this.draw();
  }

  drawLegend() {
    for (const [flow, label] of FLOWS) {
      const item = document.createElement('li');
      item.dataset.flow = flow;
      item.append(label, ' ', Object.assign(document.createElement('b'), { textContent: '0' }));
      this.legend.append(item);
    }
  }

  draw() {
    this.layout = this.narrow.matches ? 'narrow' : 'wide';
    const [width, height] = VIEW[this.layout];
    const label = 'Map of the actors. The table of actors below has the same figures.';
    this.picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label, class: this.layout });
    this.paths = new Map();
    for (const { flow, from, to } of edges()) {
      const shape = this.curve(from, to, LANE[flow]);
      const path = svg('path', { d: shape, class: 'flow', 'data-flow': flow, 'data-edge': `${from} ${to}` });
      this.paths.set(`${flow} ${from} ${to}`, path);
      this.picture.append(svg('path', { d: shape, class: 'edge' }));
    }
    this.picture.append(...this.paths.values());
    this.boxes = new Map(Object.keys(PLACES).map((name) => [name, this.box(name)]));
    this.root.querySelector('.picture').replaceChildren(this.picture);
    if (this.shown) this.update(this.shown);
  }

  box(name) {
    const { label = name, outside = false, plain = outside, [this.layout]: [x, y] } = PLACES[name];
    const [w, h] = BOX[this.layout];
    const figure = svg('text', { x, y: y + 12, class: 'figure' });
    const depth = svg('rect', { x: x - w, y: y + h - 3, width: 0, height: 3, class: 'depth' });
    const frame = svg('rect', { x: x - w, y: y - h, width: 2 * w, height: 2 * h, rx: outside ? h : 8, class: 'frame' });
    const title = svg('text', { x, y: plain ? y + 4 : y - 4, class: 'name' }, label);
    const group = svg('g', { class: outside ? 'box outside' : 'box', 'data-actor': name }, frame, depth, title, figure);
    this.picture.append(group);
    return { group, figure, depth };
  }

  /** A line from the side of one box to the facing side of another, `lane` beside the middle. */
  curve(from, to, lane) {
    const [[x1, y1], [x2, y2]] = [PLACES[from][this.layout], PLACES[to][this.layout]];
    const [w, h] = BOX[this.layout];
    const [dx, dy] = [x2 - x1, y2 - y1];
    // Lines turn between the columns, or between the rows, and so never run through a box.
    const sideways = this.layout === 'wide' ? Math.abs(dx) > 2 * w : Math.abs(dy) < 2 * h;
    const [ux, uy] = sideways ? [Math.sign(dx), 0] : [0, Math.sign(dy)];
    const start = [x1 + ux * w + (uy && lane), y1 + uy * h + (ux && lane)];
    const end = [x2 - ux * w + (uy && lane), y2 - uy * h + (ux && lane)];
    const bend = (sideways ? Math.abs(end[0] - start[0]) : Math.abs(end[1] - start[1])) / 2;
    const near = [start[0] + ux * bend, start[1] + uy * bend];
    const far = [end[0] - ux * bend, end[1] - uy * bend];
    return `M${start} C${near} ${far} ${end}`;
  }

  update(feed) {
    this.shown = feed;
    for (const delivery of feed.takeDeliveries()) this.light(delivery);
    for (const actor of feed.actors ?? []) this.show(actor.actor, actor);
    const verify = feed.status?.stages.find(({ name }) => name === 'verify');
    if (verify) this.show('verifier', { busy: verify.busy });
    const proposes = (feed.actors ?? []).some(({ actor }) => actor === 'Proposer');
    this.boxes.get('Proposer').group.classList.toggle('absent', feed.actors !== null && !proposes);
    if (feed.actors !== null && !proposes) setText(this.boxes.get('Proposer').figure, 'authority only');
    this.showRates();
  }

  show(name, { perSecond = null, mailboxDepth = 0, mailboxCapacity = 1, busy = 0, state = 'running' }) {
    const box = this.boxes.get(name);
    if (!box) return;
    setText(box.figure, perSecond === null ? `${count(busy * 100)} % busy` : `${rate(perSecond)}/s`);
    const [w] = BOX[this.layout];
    // A mailbox that holds anything at all is seen; the last pixels are for those that are full.
    const share = mailboxDepth === 0 ? 0 : Math.max(0.04, Math.min(1, mailboxDepth / mailboxCapacity));
    box.depth.setAttribute('width', 2 * w * share);
    box.group.classList.toggle('busy', busy > 0.5);
    box.group.classList.toggle('down', state !== 'running');
  }

  light({ origin, route, perSecond }) {
    const [flow, ways] = WAYS[route] ?? [];
    const way = ways?.[origin] ?? ways?.['*'] ?? [];
    way.slice(1).forEach((to, index) => this.lightEdge(`${flow} ${way[index]} ${to}`, perSecond));
    this.rates.set(route, { perSecond, until: Date.now() + LIT_FOR });
  }

  lightEdge(key, perSecond) {
    const path = this.paths.get(key);
    path.classList.add('lit');
    path.dataset.pace = pace(perSecond);
    clearTimeout(this.lit.get(key));
    // The picture may be another one by then.
    this.lit.set(key, setTimeout(() => this.paths.get(key).classList.remove('lit'), LIT_FOR));
  }

  showRates() {
    const now = Date.now();
    for (const [flow, , routes] of FLOWS) {
      const known = routes.map((route) => this.rates.get(route)).filter((known) => known?.until > now);
      const most = Math.max(0, ...known.map(({ perSecond }) => perSecond));
      const item = this.legend.querySelector(`[data-flow="${flow}"]`);
      item.classList.toggle('lit', most > 0);
      setText(item.lastElementChild, most > 0 ? `${rate(most)}/s` : '0');
    }
  }
}
