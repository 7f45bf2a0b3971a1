// kill -9 of a follower in the middle of catching up.

import assert from 'node:assert/strict';
import { assertEqualAccounts, assertEqualChains, fillWithWork, wallet } from './support/chain.mjs';
import { story } from './support/network.mjs';
import { seeded } from './support/random.mjs';
import { until } from './support/until.mjs';

const KILLS = 10;
/** Each takes the follower some tens of milliseconds. */
const BLOCKS = 150;

story('a follower killed ten times while it catches up resumes where its disk says, and ends equal', async (network, t) => {
  const random = seeded(t);
  const authority = await network.authority({ 'authority.block_interval_ms': 0 }).start();
  const target = await fillWithWork(authority, BLOCKS);
  // Commits often, so that there is something to resume from between two kills.
  const follower = network.follower('follower', [authority], { 'sync.commit_ms': 40, 'sync.commit_transactions': 4 });

  let durable = -1;
  const reports = [];
  const look = async () => {
    const { height } = await follower.head();
    assert.ok(height >= durable, `it reported ${durable} as durable, and now ${height}`);
    durable = height;
    return height;
  };
  for (let kill = 0; kill < KILLS; kill += 1) {
    const moment = ((kill + random()) / KILLS) * 0.95 * target;
    if (kill === 0) {
      // Before it has anything, perhaps before it has the genesis.
      follower.spawn();
      const delay = random() * 300;
      await new Promise((resolve) => setTimeout(resolve, delay));
    } else {
      await follower.start();
      await until(`${follower.name} reaches ${moment}`, 60_000, async () => (await look().catch(unlessWrong)) >= moment);
    }
    await follower.kill();
    reports.push(durable);
  }
  t.diagnostic(`killed when ${reports.join(', ')} of ${target} were durable`);
  assert.ok(reports.filter((height) => height > 0 && height < target).length >= KILLS - 2, 'killed in the middle');

  await follower.start();
  await until('the first answer after the last kill', 10_000, () => look().then(() => true, unlessWrong));
  await follower.reaches(target);
  await follower.isPhase('following');
  await assertEqualChains(authority, [follower]);
  await assertEqualAccounts(authority, [follower], [wallet(9).address, wallet(0).address]);
});

/** A node that does not answer yet is asked again; one that answers wrongly is an error. */
function unlessWrong(error) {
  if (error.code === 'ERR_ASSERTION') throw Object.assign(error, { fatal: true });
  return undefined;
}
