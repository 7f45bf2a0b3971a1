// The operators' last resort: the database file, copied between stopped nodes.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { assertEqualAccounts, assertEqualChains, confirm, transfers, wallet } from './support/chain.mjs';
import { story } from './support/network.mjs';

story('chain.redb of a stopped node seeds another one, which goes on following', async (network) => {
  const authority = await network.authority().start();
  await confirm(authority, await transfers(0, 0, 200));
  const before = await authority.head();
  await authority.stop();

  const follower = network.follower('follower', [authority]);
  mkdirSync(follower.dataDir, { recursive: true });
  copyFileSync(authority.database, follower.database);
  await authority.start();
  await follower.start();

  const [ours, theirs] = [await authority.head(), await follower.head()];
  assert.ok(theirs.height >= before.height, 'it starts with what it was given');
  assert.equal((await follower.rpc('eth_getBlockByNumber', `0x${before.height.toString(16)}`, false)).hash, before.hash);
  assert.equal(ours.height >= before.height, true);
  const { role } = await follower.status();
  assert.equal(role, 'follower');

  await confirm(authority, await transfers(0, 200, 20));
  await follower.reaches(await authority.height());
  await follower.isPhase('following');
  await assertEqualChains(authority, [follower]);
  await assertEqualAccounts(authority, [follower], [wallet(0).address]);
  const peers = await follower.rpc('callboard_peers');
  assert.ok(peers.length > 0, 'the two talk to each other');
});
