// Libraries that others wrote use an authority; a follower that is started afterwards, from nothing, holds the same
// chain to the last root; and what both say of themselves is as it should be.

import assert from 'node:assert/strict';
import { ethers } from 'ethers';
import { cast, castJson } from './support/cast.mjs';
import {
  assertEqualAccounts,
  assertEqualChains,
  key,
  provider,
  quiet,
  receipt,
  transfers,
  wallet,
} from './support/chain.mjs';
import { compile } from './support/contracts.mjs';
import { readMetrics } from './support/metrics.mjs';
import { CHAIN_ID, step, story } from './support/network.mjs';
import { until } from './support/until.mjs';

const FUNDED = ethers.parseEther('5');

story('wallets send and read, and a follower that starts afterwards holds the same chain', async (network, t) => {
  // Where a block comes between two looks of ethers, its wait() ends with the next block only.
  const authority = await network.authority({ 'genesis.heartbeat_s': 10 }).start();
  const chain = { authority, provider: provider(authority), accounts: [] };
  await step(t, 'ethers and cast fund accounts', () => fundAccounts(chain));
  await step(t, '1,000 transfers of types 0, 1 and 2 are confirmed', () => sendTransfers(chain));
  await step(t, 'an account without funds sends at gas price zero with cast --legacy', () => sendWithoutFunds(chain));
  await step(t, 'an account takes code on by EIP-7702', () => delegate(chain));
  await step(t, 'an ERC-20 of OpenZeppelin is deployed, minted, transferred and read by ethers', () => useToken(chain));
  await step(t, 'cast reads and sends the token too', () => useTokenWithCast(chain));
  await step(t, 'a revert gives its reason', () => seeReverts(chain));

  const follower = network.follower('follower', [authority]);
  const second = network.follower('second', []);
  await step(t, 'a follower from an empty directory catches up', async () => {
    await quiet(authority);
    await follower.start();
    second.configure({ 'peers.seeds': [follower.peerUrl] });
    await second.start();
    for (const node of [follower, second]) {
      await node.reaches(await authority.height());
      await node.isPhase('following');
    }
  });
  await step(t, 'every block is equal on all nodes, also on one that has it from the follower', async () => {
    assert.ok((await assertEqualChains(authority, [follower, second])) > 10);
  });
  await step(t, 'balances and calls are equal on all nodes', () => compareAnswers(chain, [follower, second]));
  await step(t, 'what is confirmed from now on reaches the followers', async () => {
    const sent = await wallet(0, chain.provider).sendTransaction({ to: key0(), value: 1n });
    await sent.wait();
    for (const node of [follower, second]) await receipt(node, sent.hash, 10_000);
    await assertEqualChains(authority, [follower, second]);
  });
  await step(t, 'routes, metrics, health and actors say what happened', async () => {
    for (const node of [follower, second]) await checkFollower(node);
    await checkAuthority(authority);
    for (const node of [authority, follower, second]) await checkFigures(node);
  });
  chain.provider.destroy();
});

function key0() {
  return new ethers.Wallet(key(0)).address;
}

async function fundAccounts(chain) {
  const funder = wallet(0, chain.provider);
  const fresh = Array.from({ length: 6 }, () => ethers.Wallet.createRandom(chain.provider));
  for (const to of fresh.slice(0, 3)) {
    const confirmed = await (await funder.sendTransaction({ to: to.address, value: FUNDED })).wait();
    assert.equal(confirmed.status, 1);
  }
  for (const to of fresh.slice(3)) {
    const options = ['--value', '5ether', '--private-key', key(1)];
    const confirmed = await castJson(chain.authority, 'send', to.address, ...options);
    assert.equal(confirmed.status, '0x1');
  }
  for (const account of fresh) {
    assert.equal(await chain.provider.getBalance(account.address), FUNDED);
    assert.equal(await cast(chain.authority, 'balance', account.address), FUNDED.toString());
  }
  chain.accounts = fresh;
}

/** 940 by raw transactions of ethers, 30 by ethers' own send, 30 by cast. */
async function sendTransfers(chain) {
  const to = ethers.Wallet.createRandom().address;
  const access = [{ address: to, storageKeys: [ethers.ZeroHash] }];
  const kinds = [
    { type: 0, to },
    { type: 1, to, accessList: access, gasLimit: 30_000n },
    { type: 2, to },
  ];
  const signed = [];
  for (const [index, count] of [[4, 320], [5, 320], [6, 300]]) {
    const from = await transfers(index, 0, count, kinds[index - 4]);
    signed.push(...from);
  }
  const sent = await chain.authority.rpcs('eth_sendRawTransaction', signed.map((raw) => [raw]));

  const funded = chain.accounts[0];
  for (let nonce = 0; nonce < 30; nonce += 1) {
    const { hash } = await funded.sendTransaction({ ...kinds[nonce % 3], value: 1n, nonce });
    sent.push(hash);
  }
  const options = ['--private-key', chain.accounts[3].privateKey, '--value', 1, '--async'];
  for (let nonce = 0; nonce < 30; nonce += 1) {
    const type = nonce % 2 === 0 ? [] : ['--legacy'];
    sent.push(await cast(chain.authority, 'send', to, ...options, '--nonce', nonce, ...type));
  }

  await quiet(chain.authority);
  const receipts = await chain.authority.rpcs('eth_getTransactionReceipt', sent.map((hash) => [hash]));
  const byType = { '0x0': 0, '0x1': 0, '0x2': 0 };
  for (const confirmed of receipts) {
    assert.equal(confirmed.status, '0x1');
    byType[confirmed.type] += 1;
  }
  assert.deepEqual(byType, { '0x0': 320 + 10 + 15, '0x1': 320 + 10, '0x2': 300 + 10 + 15 });
  assert.equal(await chain.provider.getBalance(to), 1_000n);
  chain.accounts.push(new ethers.VoidSigner(to, chain.provider));
}

async function sendWithoutFunds(chain) {
  const poor = ethers.Wallet.createRandom();
  const options = ['--private-key', poor.privateKey, '--legacy', '--gas-price', 0];
  const confirmed = await castJson(chain.authority, 'send', key0(), ...options);
  assert.equal(confirmed.status, '0x1');
  assert.equal(await chain.provider.getTransactionCount(poor.address), 1);
}

async function delegate(chain) {
  const { abi, bytecode } = compile('Work');
  const work = await new ethers.ContractFactory(abi, bytecode, wallet(7, chain.provider)).deploy();
  await work.waitForDeployment();
  const target = await work.getAddress();
  const authorizer = chain.accounts[1];
  const authorization = await authorizer.authorize({ address: target, nonce: 0, chainId: CHAIN_ID });
  const call = work.interface.encodeFunctionData('burn', [150_000n]);
  const sent = await wallet(7, chain.provider).sendTransaction({
    type: 4,
    to: authorizer.address,
    data: call,
    authorizationList: [authorization],
    gasLimit: 300_000n,
  });
  const confirmed = await sent.wait();
  assert.deepEqual([confirmed.status, confirmed.type], [1, 4]);
  const code = await chain.provider.getCode(authorizer.address);
  assert.equal(code, ethers.concat(['0xef0100', target]).toLowerCase());
  assert.equal(await new ethers.Contract(authorizer.address, abi, chain.provider).calls(), 1n);
  assert.equal(await cast(chain.authority, 'code', authorizer.address), code);
}

async function useToken(chain) {
  const { abi, bytecode } = compile('MyToken');
  const owner = wallet(2, chain.provider);
  const deployed = await new ethers.ContractFactory(abi, bytecode, owner).deploy(owner.address);
  const token = await deployed.waitForDeployment();
  assert.equal(await token.name(), 'My Token');
  const [alice, bob] = [chain.accounts[2], chain.accounts[4]];
  await (await token.mint(alice.address, 1_000n)).wait();
  const confirmed = await (await token.connect(alice).transfer(bob.address, 400n)).wait();
  assert.equal(await token.balanceOf(alice.address), 600n);
  assert.equal(await token.balanceOf(bob.address), 400n);
  assert.equal(await token.balanceOf(alice.address, { blockTag: confirmed.blockNumber - 1 }), 1_000n);

  const found = await token.queryFilter(token.filters.Transfer(), 0, 'latest');
  const seen = found.map(({ args }) => [args.from, args.to, args.value]);
  assert.deepEqual(seen, [
    [ethers.ZeroAddress, alice.address, 1_000n],
    [alice.address, bob.address, 400n],
  ]);
  const toBob = await token.queryFilter(token.filters.Transfer(null, bob.address), 0);
  assert.deepEqual(toBob.map((log) => log.transactionHash), [confirmed.hash]);
  const ofBlock = await chain.provider.getLogs({ blockHash: confirmed.blockHash });
  assert.deepEqual(ofBlock.map((log) => log.transactionHash), [confirmed.hash]);
  Object.assign(chain, { token, owner, alice, bob, transferred: confirmed.hash });
}

async function useTokenWithCast(chain) {
  const [address, bob] = [await chain.token.getAddress(), chain.bob];
  const balance = () => cast(chain.authority, 'call', address, 'balanceOf(address)(uint256)', bob.address);
  assert.equal(await balance(), '400');
  const send = ['send', address, 'transfer(address,uint256)', chain.alice.address, 100];
  const confirmed = await castJson(chain.authority, ...send, '--private-key', bob.privateKey);
  assert.deepEqual([confirmed.status, confirmed.logs.length], ['0x1', 1]);
  assert.equal(await balance(), '300');
  const event = ['Transfer(address indexed,address indexed,uint256)', ethers.ZeroAddress];
  const minted = await castJson(chain.authority, 'logs', '--address', address, '--from-block', 0, ...event);
  assert.equal(minted.length, 1);
  const shown = await castJson(chain.authority, 'tx', chain.transferred);
  assert.equal(ethers.getAddress(shown.from), chain.alice.address);
  const bytecode = compile('MyToken').bytecode + ethers.AbiCoder.defaultAbiCoder().encode(['address'], [bob.address]).slice(2);
  const created = await castJson(chain.authority, 'send', '--private-key', bob.privateKey, '--create', bytecode);
  assert.equal(await cast(chain.authority, 'call', created.contractAddress, 'owner()(address)'), bob.address);
}

async function seeReverts(chain) {
  const { token, owner, alice, bob } = chain;
  await assert.rejects(token.mint.staticCall(bob.address, 0n), { code: 'CALL_EXCEPTION', reason: 'nothing to mint' });
  const notOwner = await token.connect(alice).mint.estimateGas(alice.address, 1n).catch((error) => error);
  assert.equal(notOwner.revert?.name ?? token.interface.parseError(notOwner.data).name, 'OwnableUnauthorizedAccount');
  const tooMuch = await token.connect(bob).transfer.staticCall(alice.address, 10n ** 30n).catch((error) => error);
  assert.equal(tooMuch.revert.name, 'ERC20InsufficientBalance');
  await assert.rejects(
    cast(chain.authority, 'call', await token.getAddress(), 'mint(address,uint256)', bob.address, 0, '--from', owner.address),
    /execution reverted: nothing to mint/,
  );
  const sent = await token.connect(alice).mint(alice.address, 1n, { gasLimit: 100_000n });
  await assert.rejects(sent.wait(), { code: 'CALL_EXCEPTION' });
  assert.equal((await chain.provider.getTransactionReceipt(sent.hash)).status, 0);
}

async function compareAnswers(chain, followers) {
  const token = await chain.token.getAddress();
  const accounts = [...chain.accounts.map((account) => account.address), key0(), token];
  await assertEqualAccounts(chain.authority, followers, accounts);
  const { interface: face } = chain.token;
  const calls = [
    ...accounts.map((address) => face.encodeFunctionData('balanceOf', [address])),
    face.encodeFunctionData('totalSupply'),
    face.encodeFunctionData('owner'),
  ].map((data) => [{ to: token, data }, 'latest']);
  const expected = await chain.authority.rpcs('eth_call', calls);
  assert.ok(expected.some((answer) => BigInt(answer) === 700n), 'somebody holds 700');
  const logs = await chain.authority.rpc('eth_getLogs', { fromBlock: '0x0', address: token });
  const sent = await chain.authority.rpc('eth_getTransactionReceipt', chain.transferred);
  for (const follower of followers) {
    assert.deepEqual(await follower.rpcs('eth_call', calls), expected);
    assert.deepEqual(await follower.rpc('eth_getLogs', { fromBlock: '0x0', address: token }), logs);
    assert.deepEqual(await follower.rpc('eth_getTransactionReceipt', chain.transferred), sent);
  }
}

async function checkFollower(node) {
  assert.equal(await node.routed('BroadcastBlock'), 0);
  await countsEveryBlock(node, 'ImportBlock');
}

async function checkAuthority(node) {
  assert.equal(await node.routed('ImportBlock'), 0);
  await countsEveryBlock(node, 'BroadcastBlock');
}

/** A block can be read an instant before its delivery is counted; one that is counted twice never comes right. */
async function countsEveryBlock(node, route) {
  await until(`${node.name} counts a ${route} for each block`, 5_000, async () => {
    assert.equal(await node.routed(route), await node.height());
    return true;
  });
}

const ACTORS = [
  'BlockStore',
  'Broadcaster',
  'ConfirmedState',
  'EventStream',
  'Monitor',
  'PeerDiscovery',
  'SyncCoordinator',
  'TxPool',
];

/** What every node shows once it has a peer and has answered a request. */
const METRICS = [
  'callboard_head_height',
  'callboard_head_age_seconds',
  'callboard_sync_phase',
  'callboard_sync_behind_blocks',
  'callboard_sync_stage_seconds_total',
  'callboard_blocks_imported_total',
  'callboard_route_total',
  'callboard_peers',
  'callboard_pool_transactions',
  'callboard_actor_messages_total',
  'callboard_actor_wait_seconds_bucket',
  'callboard_actor_handle_seconds_bucket',
  'callboard_actor_mailbox_depth',
  'callboard_rpc_requests_total',
  'callboard_rpc_seconds_bucket',
  'callboard_store_commit_seconds_bucket',
];

async function checkFigures(node) {
  await until(`${node.name} is ready`, 10_000, async () => {
    const { status, body } = await node.get('/health/ready');
    if (status !== 200) throw new Error(JSON.stringify(body));
    return true;
  });
  assert.equal((await node.get('/health/live')).status, 200);

  await until(`${node.name} shows its figures`, 5_000, async () => {
    const metrics = readMetrics((await node.get('/metrics')).body);
    assert.equal(metrics.one('callboard_head_height'), await node.height());
    assert.equal(metrics.one('callboard_sync_phase', { phase: 'following' }), 1);
    assert.deepEqual(METRICS.filter((name) => metrics.all(name).length === 0), []);
    const imported = metrics.one('callboard_blocks_imported_total', { origin: 'peer' });
    assert.equal(imported, await node.routed('ImportBlock'));
    return true;
  });

  const actors = await node.rpc('callboard_actors');
  const names = actors.map((actor) => actor.actor);
  const { role } = await node.status();
  const expected = role === 'authority' ? [...ACTORS, 'Proposer'] : ACTORS;
  assert.deepEqual(expected.filter((name) => !names.includes(name)), [], `${names}`);
  for (const actor of actors) {
    assert.ok(actor.messages.length > 0, `${actor.actor} lists its messages`);
    assert.equal(actor.state, 'running', actor.actor);
    for (const figure of ['mailboxDepth', 'handled', 'refused', 'waitP99Us', 'handleP99Us']) {
      assert.equal(typeof actor[figure], 'number', `${figure} of ${actor.actor}`);
    }
  }
  assert.deepEqual((await node.get('/rpc/actors')).body.map((actor) => actor.actor), names);
}
