// What the overview shows: heard as it happens by server-sent events, and asked for now and then where there is no event.

import { ApiError, batch, get, url } from './api.js';

/** How often actors, peers and the pool are asked for, ms: as often as their rates change. */
const POLL_EVERY = 2_000;
/** How often a node that does not answer is tried again, ms. */
const RETRY_EVERY = 1_500;
/** A stream that is refused is opened again after twice as long each time, at most after this, ms. */
const LISTEN_EVERY = 30_000;
/** Deliveries that wait to be drawn: more in one frame say nothing. */
const KEPT_DELIVERIES = 64;
/** How long a stream that was too much for this page is replaced by a quieter one, ms. */
const QUIET_FOR = 60_000;
/** Blocks and pending transactions that are kept. */
const KEPT_BLOCKS = 10;
const KEPT_PENDING = 5;
/** While a node catches up hundreds of blocks come in a second: then the newest are read as often as the status comes. */
const BUSY = new Set(['catching-up', 'replaying']);

/** The state of the page. `changed` is called, once a frame at most, when something has. */
export class Feed {
  constructor(changed) {
    this.changed = changed;
    this.connection = 'connecting';
    this.heardAt = null;
    this.problem = null;
    // How often the stream failed since it was open, and when it may be opened again.
    Object.assign(this, { failures: 0, listenAt: 0, polledAt: 0 });
    this.forget();
  }

  forget() {
    Object.assign(this, { status: null, actors: null, peers: null, pool: null, refusals: [], chain: null });
    Object.assign(this, { blocks: [], pending: [], counts: new Map(), deliveries: [], countedAt: null });
  }

  start() {
    document.addEventListener('visibilitychange', () => (document.hidden ? this.rest() : this.poll()));
    this.poll();
  }

  /** Nobody looks: a browser has few connections for one node, and other tabs want them. */
  rest() {
    clearTimeout(this.timer);
    this.stream?.close();
    this.deliveries = [];
  }

  /** Redraws with the next frame. */
  touch() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.changed(this);
    });
  }

  // --- asked -------------------------------------------------------------------------------------------------------

  async poll() {
    clearTimeout(this.timer);
    if (this.polling) return;
    this.polling = true;
    this.polledAt = Date.now();
    let pause = POLL_EVERY;
    try {
      await this.ask();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // Told to wait is not gone.
      if (error.status === 429) pause = (error.retryAfter ?? 2) * 1_000;
      else this.lost(error.message);
      pause = Math.max(pause, RETRY_EVERY);
    } finally {
      this.polling = false;
      if (!document.hidden) this.timer = setTimeout(() => this.poll(), pause);
    }
  }

  async ask() {
    const calls = [['callboard_syncStatus'], ['callboard_actors'], ['callboard_peers'], ['txpool_status']];
    if (this.chain === null) calls.push(['web3_clientVersion'], ['eth_chainId'], ['eth_getBlockByNumber', '0x0', false]);
    const [status, actors, peers, pool, ...chain] = await batch(calls);
    for (const answer of [status, actors, peers]) if (answer instanceof ApiError) throw answer;
    Object.assign(this, { actors, peers, pool: pool instanceof ApiError ? null : pool });
    if (chain.length > 0) this.onChain(...chain);
    this.heard();
    this.onStatus(status);
  }

  onChain(version, chainId, genesis) {
    const known = [version, chainId, genesis].every((answer) => answer && !(answer instanceof ApiError));
    if (known) this.chain = { version, id: BigInt(chainId).toString(), genesis: genesis.hash };
  }

  /** The newest blocks, where they are not heard of one by one. */
  async readBlocks() {
    if (this.reading || !this.status || this.status.phase === 'genesis') return;
    this.reading = true;
    try {
      const end = this.status.head.height;
      const start = Math.max(0, end - KEPT_BLOCKS + 1);
      const { blocks } = await get(`rpc/blocks-range?start=${start}&end=${end}&include_tx=false`);
      this.blocks = this.blocks.filter(({ height }) => height > end);
      blocks.forEach((block) => this.onBlock(block));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    } finally {
      this.reading = false;
    }
  }

  async readRefusals() {
    const [refusals] = await batch([['callboard_rejections', { limit: 5 }]]).catch(() => [null]);
    if (Array.isArray(refusals)) this.refusals = refusals;
    this.touch();
  }

  // --- heard -------------------------------------------------------------------------------------------------------

  get topics() {
    const quiet = BUSY.has(this.status?.phase) || Date.now() < (this.quietUntil ?? 0);
    return quiet ? 'sync,routes' : 'blocks,pending,sync,routes';
  }

  /** Opens the stream, or another one where another is wanted by now. */
  listen() {
    // Before the genesis is known there is nothing to hear, and a stream is refused.
    if (!this.status || this.status.phase === 'genesis' || document.hidden) return;
    const { topics } = this;
    if (this.stream && this.stream.readyState !== EventSource.CLOSED && this.listening === topics) return;
    if (Date.now() < this.listenAt) return;
    this.stream?.close();
    const stream = new EventSource(url(`rpc/events?topics=${topics}`));
    Object.assign(this, { stream, listening: topics });
    const on = (name, action) => stream.addEventListener(name, ({ data }) => {
      if (stream !== this.stream) return;
      action(JSON.parse(data));
      this.heard();
    });
    stream.onopen = () => stream === this.stream && this.opened();
    // A browser comes back by itself, with the id of the last block it has heard of; the poll looks after what it gives up.
    stream.onerror = () => stream === this.stream && this.interrupted();
    on('blocks', (block) => this.onBlock(block));
    on('pending', (transaction) => this.onPending(transaction));
    on('sync', (status) => this.onStatus(status));
    on('routes', ({ counts }) => this.onCounts(counts));
    on('end', ({ reason }) => this.onEnd(reason));
  }

  /** A new stream begins with the status. Blocks of before may have been rolled back. */
  opened() {
    Object.assign(this, { countedAt: null, blocks: [], failures: 0, listenAt: 0 });
    this.heard();
  }

  /** The stream broke or was refused. Whether the node is gone, the next answer tells. */
  interrupted() {
    this.failures += 1;
    this.listenAt = Date.now() + Math.min(LISTEN_EVERY, RETRY_EVERY * 2 ** Math.min(this.failures, 8));
    if (Date.now() - this.polledAt > RETRY_EVERY) this.poll();
  }

  onEnd(reason) {
    if (reason.startsWith('too_many')) this.quietUntil = Date.now() + QUIET_FOR;
    this.stream?.close();
  }

  onStatus(status) {
    const before = this.status;
    // The status is asked for and heard of, and a block may have been heard of before either.
    const [newest] = this.blocks;
    const known = newest && !BUSY.has(status.phase) && newest.height > status.head.height;
    this.status = known && before ? { ...status, head: before.head } : status;
    if (before?.phase === 'genesis' && status.phase !== 'genesis') this.chain = null;
    if (before?.lastRejection !== status.lastRejection) this.readRefusals();
    this.listen();
    if (this.blocks.length === 0 || (this.listening === 'sync,routes' && before?.head.height !== status.head.height)) this.readBlocks();
    this.touch();
  }

  onBlock(block) {
    const at = Date.parse(block.timestamp) / 1_000;
    const fresh = { ...block, at };
    this.blocks = [fresh, ...this.blocks.filter(({ height }) => height !== block.height)];
    this.blocks.sort((a, b) => b.height - a.height).splice(KEPT_BLOCKS);
    if (this.status && block.height > this.status.head.height) {
      this.status = { ...this.status, head: { height: block.height, hash: block.hash, timestamp: at } };
    }
    this.touch();
  }

  onPending(transaction) {
    this.pending = [transaction, ...this.pending.filter(({ hash }) => hash !== transaction.hash)].slice(0, KEPT_PENDING);
  }

  /** The first counts are since the node's start; from then on the difference is what has moved. */
  onCounts(counts) {
    const now = performance.now();
    const seconds = this.countedAt === null ? null : Math.max(0.5, (now - this.countedAt) / 1_000);
    this.countedAt = now;
    for (const { origin, kind, route, count } of counts) {
      const key = `${route} ${origin}`;
      const moved = count - (this.counts.get(key)?.count ?? 0);
      this.counts.set(key, { origin, kind, route, count });
      if (seconds !== null && moved > 0) this.deliveries.push({ origin, kind, route, perSecond: moved / seconds });
    }
    this.deliveries.splice(0, this.deliveries.length - KEPT_DELIVERIES);
  }

  /** What has moved since this was asked last. */
  takeDeliveries() {
    return this.deliveries.splice(0);
  }

  // --- the connection ----------------------------------------------------------------------------------------------

  heard() {
    this.heardAt = Date.now();
    // Of a node that was gone, everything may be different.
    if (this.connection === 'lost') {
      this.chain = null;
      this.pending = [];
    }
    this.connection = 'live';
    this.problem = null;
    this.touch();
  }

  lost(problem) {
    if (this.connection !== 'lost') Object.assign(this, { connection: 'lost', problem });
    this.touch();
  }
}
