// No height is sealed twice, whatever becomes of the authority's data directory.

import assert from 'node:assert/strict';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertEqualChains, confirm, hashes, transfers, wallet } from './support/chain.mjs';
import { story } from './support/network.mjs';

const PASSWORD = 'correct horse battery staple';

/** An authority with a key of its own, kept outside its data directory, and a follower; some blocks. */
async function network(nodes) {
  const file = join(nodes.folder, 'password');
  writeFileSync(file, PASSWORD);
  const authority = nodes.authority({
    'node.dev': false,
    'genesis.owner': wallet(0).address,
    'authority.keystore': '../keystore',
    'authority.password_file': file,
  });
  await authority.start();
  await confirm(authority, await transfers(0, 0, 5));
  const follower = await nodes.follower('follower', [authority]).start();
  await follower.reaches(await authority.height());
  authority.configure({ 'peers.seeds': [follower.peerUrl] });
  return { authority, follower, genesis: await nodes.genesisFile(authority) };
}

/** Blocks the follower has, which the authority's older database lacks. */
async function goOn(authority, follower, nonce) {
  for (const raw of await transfers(0, nonce, 5)) await confirm(authority, [raw]);
  await follower.reaches(await authority.height());
  return hashes(follower);
}

function assertKept(before, after) {
  for (const [height, hash] of before) assert.equal(after.get(height), hash, `block ${height} is what it was`);
}

/** It has its own blocks again, and only then goes on with new ones. */
async function assertTakenBack({ authority, follower }, before, nonce) {
  await authority.reaches(before.size - 1, 30_000);
  await authority.isPhase('following', 30_000);
  assertKept(before, await hashes(authority));
  const confirmed = await confirm(authority, await transfers(0, nonce, 1));
  assert.ok(Number(confirmed.blockNumber) >= before.size, 'the next block is a new height');
  await follower.reaches(Number(confirmed.blockNumber));
  assertKept(before, await hashes(follower));
  await follower.isPhase('following');
  await assertEqualChains(authority, [follower]);
}

story('an authority with an older copy of its database takes its own blocks back from its follower', async (nodes) => {
  const chain = await network(nodes);
  const { authority, follower } = chain;
  await authority.stop();
  const copy = join(nodes.folder, 'older.redb');
  copyFileSync(authority.database, copy);
  await authority.start();
  const before = await goOn(authority, follower, 5);
  await authority.kill();
  copyFileSync(copy, authority.database);
  await authority.start();
  await assertTakenBack(chain, before, 10);
  assert.ok((await authority.routed('ImportBlock')) >= 5, 'it imported what it had sealed');
});

story('an authority whose data directory was wiped takes its chain back from its follower', async (nodes) => {
  const chain = await network(nodes);
  const { authority, follower } = chain;
  const before = await goOn(authority, follower, 5);
  await authority.kill();
  rmSync(authority.dataDir, { recursive: true });

  // Without the genesis it begins no second chain.
  const refused = await authority.command('node', '--config', 'node.toml');
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /high-water/);

  authority.configure({ 'genesis.file': chain.genesis });
  await authority.start();
  await assertTakenBack(chain, before, 10);
});

story('an authority that has lost blocks which nobody else has is stalled, and seals nothing', async (nodes) => {
  const { authority, follower } = await network(nodes);
  await authority.stop();
  const copy = join(nodes.folder, 'older.redb');
  copyFileSync(authority.database, copy);
  await authority.start();
  const old = (await goOn(authority, follower, 5)).size - 1;
  await authority.kill();
  await follower.stop();
  copyFileSync(copy, authority.database);
  authority.configure({ 'peers.seeds': [], 'peers.start_wait_s': 1 });
  rmSync(join(authority.dataDir, 'node.redb'), { force: true });
  await authority.start();
  const { head } = await authority.isPhase('stalled', 30_000);
  assert.ok(head.height < old);
  const ready = await authority.get('/health/ready');
  assert.equal(ready.status, 503, JSON.stringify(ready.body));
  const stays = { height: head.height, hash: head.hash };
  await authority.rpc('eth_sendRawTransaction', (await transfers(0, 50, 1))[0]).catch(() => undefined);
  const status = await authority.status();
  assert.deepEqual({ height: status.head.height, hash: status.head.hash }, stays);
  assert.equal(await authority.routed('BroadcastBlock'), 0);
});
