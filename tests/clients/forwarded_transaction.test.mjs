// A transaction that a client gives to a follower.

import assert from 'node:assert/strict';
import { ethers } from 'ethers';
import { assertEqualChains, provider, receipt, wallet } from './support/chain.mjs';
import { story } from './support/network.mjs';

story("a transaction sent to a follower is confirmed by the authority, and seen by the follower's client", async (network) => {
  const authority = await network.authority().start();
  const follower = await network.follower('follower', [authority]).start();
  await follower.isPhase('following');
  const client = provider(follower);
  const to = ethers.Wallet.createRandom().address;
  const from = wallet(0, client);
  const sent = [];
  for (let value = 1n; value <= 20n; value += 1n) sent.push(await from.sendTransaction({ to, value }));
  for (const { hash } of sent) {
    const onAuthority = await receipt(authority, hash, 20_000);
    assert.deepEqual(await receipt(follower, hash, 20_000), onAuthority);
  }
  assert.equal(await client.getBalance(to), 210n);
  assert.equal(await authority.routed('PoolTransaction'), 20);
  assert.equal(await follower.routed('ForwardTransaction'), 20);
  await assertEqualChains(authority, [follower]);
  client.destroy();
});
