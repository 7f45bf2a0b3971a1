// What people do with ethers v6: every kind of transaction, contracts, refusals, logs, filters, fees, batches, sockets.

import assert from 'node:assert/strict';
import { ethers } from 'ethers';
import { wallet } from './support/chain.mjs';
import { compile } from './support/contracts.mjs';
import { CHAIN_ID, step, story } from './support/network.mjs';
import { until } from './support/until.mjs';

/** Longest that a node may take to tell of something, in milliseconds. */
const SOON = 20_000;
const BLOB = `0x01${'00'.repeat(31)}`;

story('ethers does all it can against a node', async (network, t) => {
  // With a block at every interval a wait() that just missed its block sees the next one.
  const node = await network.authority({ 'authority.empty_blocks': true }).start();
  const provider = new ethers.JsonRpcProvider(node.url, CHAIN_ID, { staticNetwork: true, cacheTimeout: -1, pollingInterval: 50 });
  t.after(() => provider.destroy());
  const chain = { node, provider, owner: wallet(0, provider), ledger: undefined };
  await step(t, 'it finds the network', async () => {
    const found = new ethers.JsonRpcProvider(node.url);
    assert.equal((await found.getNetwork()).chainId, BigInt(CHAIN_ID));
    found.destroy();
  });
  await step(t, 'fees are zero, and a transaction without any is filled in', () => fillFees(chain));
  await step(t, 'transfers of types 0, 1, 2 and 4 are confirmed', () => transferEveryType(chain));
  await step(t, 'a blob transaction is refused by name', () => refuseBlob(chain));
  await step(t, 'a contract is deployed, called and changed', () => useContract(chain));
  await step(t, 'a reason and a custom error are decoded', () => seeRefusals(chain));
  await step(t, 'logs are found by filter', () => findLogs(chain));
  await step(t, 'listeners hear of blocks, events and pending transactions by filters', () => listen(chain));
  await step(t, 'calls in one turn go as one batch', () => batch(chain));
  await step(t, 'a proof of an account and a slot holds against the state root', () => prove(chain));
  await step(t, 'a socket that is opened again after a restart goes on hearing', () => restart(chain));
});

async function fillFees({ node, provider, owner }) {
  const fees = await provider.getFeeData();
  // To ethers a base fee of zero is none.
  assert.deepEqual([fees.gasPrice, fees.maxFeePerGas, fees.maxPriorityFeePerGas], [0n, null, null]);
  const history = await node.rpc('eth_feeHistory', '0x4', 'latest', [25, 75]);
  assert.ok(history.baseFeePerGas.every((fee) => fee === '0x0'), JSON.stringify(history));
  const filled = await owner.populateTransaction({ to: owner.address, value: 1n });
  assert.deepEqual([filled.type, filled.gasPrice, filled.gasLimit], [0, 0n, 21_000n]);
  const poor = ethers.Wallet.createRandom(provider);
  const sent = await poor.sendTransaction({ to: owner.address });
  const confirmed = await sent.wait();
  assert.deepEqual([confirmed.status, confirmed.type, confirmed.fee], [1, 0, 0n]);
}

async function transferEveryType({ provider, owner }) {
  const to = ethers.Wallet.createRandom().address;
  const accessList = [{ address: to, storageKeys: [ethers.ZeroHash] }];
  const authorizer = ethers.Wallet.createRandom(provider);
  const authorization = await authorizer.authorize({ address: to, nonce: 0, chainId: CHAIN_ID });
  const kinds = [{ type: 0 }, { type: 1, accessList }, { type: 2, accessList }, { type: 4, authorizationList: [authorization] }];
  for (const kind of kinds) {
    const sent = await owner.sendTransaction({ to, value: 5n, ...kind });
    const confirmed = await sent.wait();
    assert.deepEqual([confirmed.status, confirmed.type], [1, kind.type]);
    const found = await provider.getTransaction(sent.hash);
    assert.deepEqual([found.type, found.value, found.from, found.chainId], [kind.type, 5n, owner.address, BigInt(CHAIN_ID)]);
    assert.equal(found.blockHash, confirmed.blockHash);
  }
  assert.equal(await provider.getBalance(to), 20n);
  assert.equal(await provider.getCode(authorizer.address), `0xef0100${to.slice(2).toLowerCase()}`);
}

async function refuseBlob({ owner }) {
  const sending = owner.sendTransaction({
    type: 3,
    to: owner.address,
    gasLimit: 21_000n,
    maxFeePerGas: 1n,
    maxPriorityFeePerGas: 1n,
    maxFeePerBlobGas: 1n,
    blobVersionedHashes: [BLOB],
  });
  const { error } = await sending.then(assert.fail, (error) => error);
  assert.equal(error.code, -32000);
  assert.match(error.message, /^transaction type not supported/);
}

async function useContract(chain) {
  const { abi, bytecode } = compile('Ledger');
  const deployed = await new ethers.ContractFactory(abi, bytecode, chain.owner).deploy(7);
  chain.ledger = await deployed.waitForDeployment();
  assert.equal(await chain.ledger.latest(), 7n);
  const confirmed = await (await chain.ledger.note(8, 'eight')).wait();
  assert.deepEqual(confirmed.logs.map((log) => [log.fragment.name, ...log.args]), [['Noted', chain.owner.address, 8n, 'eight']]);
  assert.equal(await chain.ledger.latest(), 8n);
  assert.equal(await chain.ledger.latest({ blockTag: confirmed.blockNumber - 1 }), 7n);
  const slot = await chain.provider.getStorage(await chain.ledger.getAddress(), 0);
  assert.equal(BigInt(slot), 8n);
}

async function seeRefusals({ ledger, owner }) {
  const failures = [ledger.note.staticCall, ledger.note.estimateGas, ledger.note];
  for (const call of failures) {
    const reason = await call(0, '').then(assert.fail, (error) => error);
    assert.deepEqual([reason.code, reason.reason], ['CALL_EXCEPTION', 'nothing to note']);
    const custom = await call(1_001, '').then(assert.fail, (error) => error);
    const parsed = custom.revert ?? ledger.interface.parseError(custom.data);
    assert.deepEqual([parsed.name, ...parsed.args], ['TooMuch', owner.address, 1_001n, 1_000n]);
  }
  const sent = await ledger.note(0, '', { gasLimit: 100_000n });
  const failed = await sent.wait().then(assert.fail, (error) => error);
  assert.deepEqual([failed.code, failed.receipt.status], ['CALL_EXCEPTION', 0]);
}

async function findLogs({ ledger, owner, provider }) {
  const confirmed = await (await ledger.note(9, 'nine')).wait();
  const numbers = async (...query) => (await ledger.queryFilter(...query)).map((log) => log.args.number);
  assert.deepEqual(await numbers(ledger.filters.Noted(), 0), [8n, 9n]);
  assert.deepEqual(await numbers(ledger.filters.Noted(owner.address, 9), 0, 'latest'), [9n]);
  assert.deepEqual(await numbers(ledger.filters.Noted(null, [8, 9]), 0), [8n, 9n]);
  assert.deepEqual(await numbers(ledger.filters.Noted(ethers.ZeroAddress), 0), []);
  const ofBlock = await provider.getLogs({ blockHash: confirmed.blockHash, address: await ledger.getAddress() });
  assert.deepEqual(ofBlock.map((log) => log.transactionHash), [confirmed.hash]);
}

/** Without `polling` ethers asks for events and pending transactions by eth_newFilter and eth_getFilterChanges. */
async function listen({ node, ledger, provider, owner }) {
  const [heads, events, pending] = [[], [], []];
  await provider.on('block', (height) => heads.push(height));
  await provider.on('pending', (hash) => pending.push(hash));
  // A filter's listener gets one payload, a name's the members too.
  await ledger.on(ledger.filters.Noted(owner.address), ({ args, log }) => events.push([args.number, args.text, log.transactionHash]));
  const made = /method="(eth_new(?:PendingTransaction)?Filter)",outcome="ok"\} ([1-9]\d*)/g;
  await until('ethers has made its filters', SOON, async () => [...(await node.get('/metrics')).body.matchAll(made)].length === 2);
  const sent = [await ledger.note(21, 'first'), await ledger.note(22, 'second')];
  await until('ethers has heard of both', SOON, () => events.length === 2 && pending.length >= 2 && heads.length > 1);
  assert.deepEqual(events, [[21n, 'first', sent[0].hash], [22n, 'second', sent[1].hash]]);
  assert.deepEqual(pending, sent.map(({ hash }) => hash));
  await provider.removeAllListeners();
  await ledger.removeAllListeners();
}

async function batch({ node, ledger }) {
  const bodies = [];
  const request = new ethers.FetchRequest(node.url);
  request.preflightFunc = async (sent) => {
    bodies.push(JSON.parse(ethers.toUtf8String(sent.body)));
    return sent;
  };
  const batching = new ethers.JsonRpcProvider(request, CHAIN_ID, { staticNetwork: true, cacheTimeout: -1 });
  const accounts = Array.from({ length: 99 }, (_, index) => ethers.zeroPadValue(ethers.toBeHex(index + 1), 20));
  const failing = ledger.connect(batching).note.staticCall(0, '').catch((error) => error.reason);
  const balances = await Promise.all(accounts.map((address) => batching.getBalance(address)));
  assert.ok(balances.every((balance) => typeof balance === 'bigint'));
  assert.equal(await failing, 'nothing to note');
  assert.deepEqual(bodies.map((body) => body.length), [100]);
  batching.destroy();
}

async function prove({ node, provider, ledger }) {
  const address = await ledger.getAddress();
  const block = await provider.getBlock('latest');
  const proof = await provider.send('eth_getProof', [address, ['0x0'], block.hash]);
  const { stateRoot } = await node.rpc('eth_getBlockByHash', block.hash, false);
  assert.equal(ethers.keccak256(proof.accountProof[0]), stateRoot);
  const [, account] = ethers.decodeRlp(proof.accountProof.at(-1));
  const [nonce, balance, storageHash, codeHash] = ethers.decodeRlp(account);
  assert.deepEqual([nonce, balance], ['0x01', '0x']);
  assert.deepEqual([storageHash, codeHash], [proof.storageHash, proof.codeHash]);
  assert.equal(ethers.keccak256(await provider.getCode(address)), codeHash);
  const [slot] = proof.storageProof;
  assert.equal(ethers.keccak256(slot.proof[0]), storageHash);
  assert.deepEqual([slot.key, BigInt(slot.value)], ['0x0', await ledger.latest()]);
}

/** ethers leaves it to the application to open a socket again. */
async function restart({ node, ledger }) {
  const address = await ledger.getAddress();
  const [heads, events] = [[], []];
  const open = async () => {
    const socket = new ethers.WebSocketProvider(node.url.replace('http', 'ws'), CHAIN_ID, { staticNetwork: true });
    const closed = new Promise((resolve) => (socket.websocket.onclose = resolve));
    const listening = new ethers.Contract(address, ledger.interface, socket);
    await socket.on('block', (height) => heads.push(height));
    await listening.on('Noted', (_who, number) => events.push(number));
    await until('ethers is subscribed', SOON, async () =>
      /method="eth_subscribe",outcome="ok"\} 2$/m.test((await node.get('/metrics')).body));
    return { socket, closed };
  };
  const note = async (number) => {
    const provider = new ethers.JsonRpcProvider(node.url, CHAIN_ID, { staticNetwork: true, cacheTimeout: -1 });
    await ledger.connect(wallet(0, provider)).note(number, '');
    await until(`ethers has heard of ${number}`, SOON, () => events.at(-1) === BigInt(number));
    provider.destroy();
  };
  const first = await open();
  await note(31);
  await node.stop();
  await first.closed;
  await node.start();
  const before = heads.at(-1);
  const second = await open();
  await note(32);
  assert.deepEqual(events, [31n, 32n]);
  await until('ethers has heard of a block after the restart', SOON, () => heads.at(-1) > before);
  await second.socket.removeAllListeners();
  await second.socket.send('net_version', []);
  await second.socket.destroy();
}
