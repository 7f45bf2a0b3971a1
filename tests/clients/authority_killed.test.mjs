// kill -9 of an authority that produces blocks under load.

import assert from 'node:assert/strict';
import { assertEqualChains, hashes, transfers, wallet } from './support/chain.mjs';
import { story } from './support/network.mjs';
import { seeded } from './support/random.mjs';
import { until } from './support/until.mjs';

const KILLS = 10;
const TRANSFERS = 2_000;
const AT_ONCE = 10;

story('an authority killed ten times under load seals no height twice, and its follower never diverges', async (network, t) => {
  const random = seeded(t);
  const signed = await transfers(3, 0, TRANSFERS);
  const authority = await network.authority({ 'authority.block_interval_ms': 20 }).start();
  const follower = await network.follower('follower', [authority]).start();
  authority.configure({ 'peers.seeds': [follower.peerUrl] });

  const sealed = new Sealed(follower, authority);
  const load = new Load(authority, signed);
  const background = Promise.all([sealed.watch(), load.run()]);
  // Its failure is the test's, once the kills are over.
  background.catch(() => undefined);
  try {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const from = await authority.height();
      await authority.reaches(from + 2 + Math.floor(random() * 8), 30_000);
      await new Promise((resolve) => setTimeout(resolve, random() * 40));
      await authority.kill();
      await authority.start();
      await authority.isPhase('following', 30_000);
      sealed.keep(await hashes(authority), 'the authority');
    }
    await authority.reaches((await authority.height()) + 3, 30_000);
  } finally {
    load.end();
    sealed.end();
  }
  await background;
  assert.ok(load.confirmed < TRANSFERS, 'the load lasted to the end');
  sealed.keep(await hashes(authority), 'the authority');
  await follower.reaches(await authority.height());
  sealed.keep(await hashes(follower), 'the follower');
  const height = await assertEqualChains(authority, [follower]);
  t.diagnostic(`${height} blocks, ${sealed.looks} looks at the follower, ${load.sent} transactions sent`);
  assert.equal(await follower.routed('BroadcastBlock'), 0);
});

/** Which hash each height was ever seen with, anywhere. */
class Sealed {
  constructor(follower, authority) {
    Object.assign(this, { follower, authority, seen: new Map(), looks: 0, running: true });
  }

  keep(found, where) {
    for (const [height, hash] of found) {
      const before = this.seen.get(height) ?? hash;
      assert.equal(hash, before, `height ${height} has two hashes; the second was seen on ${where}`);
      this.seen.set(height, hash);
    }
  }

  /** Looks at the follower, which is never stopped, all the time; at the authority whenever it answers. */
  async watch() {
    await until('the end of the load', 180_000, async () => {
      try {
        await this.look();
      } catch (error) {
        // A wrong look ends the watch.
        throw Object.assign(error, { fatal: true });
      }
      return !this.running;
    });
  }

  async look() {
    const { phase, divergence } = await this.follower.status();
    assert.notEqual(phase, 'diverged');
    assert.equal(divergence, null);
    this.keep(await heads(this.follower), 'the follower');
    this.keep(await heads(this.authority).catch(() => new Map()), 'the authority');
    this.looks += 1;
  }

  end() {
    this.running = false;
  }
}

/** The newest blocks of a node. */
async function heads(node) {
  const { height } = await node.head();
  const { body } = await node.get(`/rpc/blocks-range?start=${Math.max(0, height - 5)}&end=${height}&include_tx=false`);
  return new Map(body.blocks.map((block) => [block.height, block.hash]));
}

/** One account's transfers, a few at a time; what a killed node's pool held is sent again. */
class Load {
  constructor(node, signed) {
    Object.assign(this, { node, signed, sent: 0, confirmed: 0, running: true });
  }

  async run() {
    const { address } = wallet(3);
    await until('the end of the load', 180_000, async () => {
      this.confirmed = Number(await this.node.rpc('eth_getTransactionCount', address, 'latest'));
      const next = this.signed.slice(this.confirmed, this.confirmed + AT_ONCE);
      await this.node.rpcs('eth_sendRawTransaction', next.map((raw) => [raw])).catch(() => undefined);
      this.sent += next.length;
      return !this.running;
    });
  }

  end() {
    this.running = false;
  }
}
