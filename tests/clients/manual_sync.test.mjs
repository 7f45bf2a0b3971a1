// The loop by which operators synchronised nodes by hand: read the peer's head, get one block at a time, post each.

import assert from 'node:assert/strict';
import { assertEqualAccounts, assertEqualChains, confirm, transfers, wallet } from './support/chain.mjs';
import { story } from './support/network.mjs';

/** As it was written: no look at a status, no retry. Answers what each post was answered. */
async function syncOnce(source, target) {
  const answers = [];
  const targetHeight = (await source.get('/rpc/head')).body.height;
  const localHeight = (await target.get('/rpc/head')).body.height;
  for (let height = localHeight + 1; height <= targetHeight; height += 1) {
    const range = await source.get(`/rpc/blocks-range?start=${height}&end=${height}`);
    if (range.status === 200) {
      const { blocks = [] } = range.body;
      if (blocks.length > 0) answers.push(await target.post('/rpc/importBlock', blocks[0]));
    }
  }
  return answers;
}

function assertImported(answers, count) {
  assert.equal(answers.length, count);
  for (const { status, body } of answers) {
    assert.deepEqual([status, body.success, body.imported], [200, true, true], JSON.stringify(body));
  }
}

/** One block a transfer. */
async function blocks(node, count) {
  for (const raw of await transfers(0, 0, count)) await confirm(node, [raw]);
  return node.height();
}

async function alone(network, name, authority, values = {}) {
  const file = await network.genesisFile(authority);
  return network.follower(name, [], { 'genesis.file': file, ...values }).start();
}

story('the manual loop brings a follower without seeds to equal state', async (network) => {
  const authority = await network.authority({ 'authority.block_interval_ms': 0 }).start();
  const height = await blocks(authority, 30);
  const follower = await alone(network, 'follower', authority);
  assert.equal(await follower.height(), 0);
  assertImported(await syncOnce(authority, follower), height);
  await assertEqualChains(authority, [follower]);
  await assertEqualAccounts(authority, [follower], [wallet(0).address]);
  assert.equal(await follower.routed('ImportBlock'), height);

  // A block that is there already is said to be there, and a block without its parent is refused.
  const { body } = await authority.get(`/rpc/blocks-range?start=${height}&end=${height}`);
  const again = await follower.post('/rpc/importBlock', body.blocks[0]);
  assert.deepEqual([again.status, again.body.success, again.body.imported], [200, true, false]);
  await confirm(authority, await transfers(1, 0, 1));
  await confirm(authority, await transfers(1, 1, 1));
  const late = await authority.get(`/rpc/blocks-range?start=${height + 2}&end=${height + 2}`);
  const refused = await follower.post('/rpc/importBlock', late.body.blocks[0]);
  assert.deepEqual([refused.status, refused.body.success], [409, false], JSON.stringify(refused.body));
  assertImported(await syncOnce(authority, follower), 2);
});

story('the manual loop with an import limit of 20 a second: 100 blocks all succeed, in about 5 s', async (network, t) => {
  const authority = await network.authority({ 'authority.block_interval_ms': 0 }).start();
  assert.equal(await blocks(authority, 100), 100);
  const follower = await alone(network, 'follower', authority, { 'rpc.limit.import_blocks_per_second': 20 });
  const begun = Date.now();
  const answers = await syncOnce(authority, follower);
  const seconds = (Date.now() - begun) / 1000;
  t.diagnostic(`${seconds} s`);
  assertImported(answers, 100);
  assert.ok(seconds >= 4.9 && seconds < 10, `it took ${seconds} s`);
  await assertEqualChains(authority, [follower]);
});

story('the import limit takes 100 blocks that are posted at once, each in its turn', async (network) => {
  const authority = await network.authority({ 'authority.block_interval_ms': 0 }).start();
  assert.equal(await blocks(authority, 20), 20);
  const follower = await alone(network, 'follower', authority, { 'rpc.limit.import_blocks_per_second': 20 });
  const { body } = await authority.get('/rpc/blocks-range?start=1&end=1');
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => follower.post('/rpc/importBlock', body.blocks[0])),
  );
  assert.deepEqual(answers.filter((answer) => answer.status !== 200).map((answer) => answer.body), []);
  assert.equal(answers.filter((answer) => answer.body.imported).length, 1);
  assert.equal(await follower.height(), 1);
});

story('the manual loop carries a block of the full gas limit', async (network) => {
  const authority = await network.authority({ 'authority.block_interval_ms': 8_000 }).start();
  await confirm(authority, await transfers(0, 0, 1));
  // 1,428 transfers are what fits into 30 million gas.
  const signed = [...(await transfers(1, 0, 714)), ...(await transfers(2, 0, 714))];
  await confirm(authority, signed);
  const height = await authority.height();
  const fullest = await Promise.all(
    Array.from({ length: height }, async (_, index) => {
      const block = await authority.rpc('eth_getBlockByNumber', `0x${(index + 1).toString(16)}`, false);
      return { transactions: block.transactions.length, left: Number(block.gasLimit) - Number(block.gasUsed) };
    }),
  );
  assert.ok(fullest.some(({ transactions, left }) => transactions === 1_428 && left < 21_000), JSON.stringify(fullest));
  const follower = await alone(network, 'follower', authority);
  assertImported(await syncOnce(authority, follower), height);
  await assertEqualChains(authority, [follower]);
  // It survives the end of the process, too.
  await follower.stop();
  await follower.start();
  await assertEqualChains(authority, [follower]);
  await assertEqualAccounts(authority, [follower], [wallet(1).address, wallet(2).address]);
});

story('blocks without their transactions are refused, never imported as empty ones', async (network) => {
  const authority = await network.authority({ 'authority.block_interval_ms': 0 }).start();
  await blocks(authority, 1);
  const follower = await alone(network, 'follower', authority);
  const { body } = await authority.get('/rpc/blocks-range?start=1&end=1&include_tx=false');
  assert.equal(body.blocks[0].tx_count, 1);
  assert.ok(!('raw' in body.blocks[0]) && !('transactions' in body.blocks[0]));
  const refused = await follower.post('/rpc/importBlock', body.blocks[0]);
  assert.deepEqual([refused.status, refused.body.success, refused.body.error.check], [422, false, 'body_missing']);
  assert.equal(await follower.height(), 0);
  assert.equal(await follower.routed('ImportBlock'), 0);
});
