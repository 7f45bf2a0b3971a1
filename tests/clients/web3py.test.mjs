// What people do with web3.py; the steps themselves stand in web3_suite.py.

import assert from 'node:assert/strict';
import { key } from './support/chain.mjs';
import { compile } from './support/contracts.mjs';
import { step, story } from './support/network.mjs';
import { Python } from './support/python.mjs';
import { until } from './support/until.mjs';

/** Longest that a node may take to tell of something, in milliseconds. */
const SOON = 20_000;

story('web3.py does all it can against a node', async (network, t) => {
  // No block comes unasked, so that what is new can be compared.
  const node = await network.authority({ 'genesis.heartbeat_s': 600 }).start();
  const python = new Python('web3_suite.py');
  t.after(() => python.end());
  const { abi, bytecode } = compile('Ledger');
  await python.do('start', node.url, key(0), abi, bytecode);
  const steps = {
    'fees are zero, and a transaction without any is filled in': ['fees'],
    'transfers of types 0, 1, 2 and 4 are confirmed': ['transfers'],
    'a contract is deployed, called and changed': ['contract'],
    'a reason and a custom error are told apart': ['refusals'],
    'logs are found by filter': ['logs'],
    'filters of events, blocks and pending transactions give what is new': ['filters'],
    'a batch of 100 calls is answered': ['batch', 100],
    'a proof of an account and a slot holds against the state root': ['proof'],
    'an access list is made, and a call runs with the state it is given': ['prepare'],
  };
  for (const [name, asked] of Object.entries(steps)) await step(t, name, () => python.do(...asked));
  await step(t, 'a blob transaction is refused by name', async () => {
    assert.match(await python.do('blob'), /^-32000 transaction type not supported/);
  });
  await step(t, 'subscriptions and filters are made again after a restart', () => restart(node, python));
  await step(t, 'a transaction is traced by its calls', () => python.do('trace'));
});

async function restart(node, python) {
  const subscribed = () => until('web3.py is subscribed', SOON, async () =>
    /method="eth_subscribe",outcome="ok"\} 2$/m.test((await node.get('/metrics')).body));
  const hears = (...logs) => until(`web3.py hears of ${logs}`, SOON, async () => {
    const heard = await python.do('what_was_heard');
    assert.deepEqual(heard.logs, logs);
    // Nothing else is sent, so each log has a block of its own.
    assert.equal(heard.heads.length, logs.length);
    return true;
  });
  await python.do('listen');
  await python.do('keep_filter');
  await subscribed();
  await python.do('note_one', 31);
  await hears(31);
  await node.stop();
  await node.start();
  await subscribed();
  assert.match(await python.do('read_kept_filter'), /^-32000 filter not found/);
  await python.do('note_one', 32);
  await hears(31, 32);
}
