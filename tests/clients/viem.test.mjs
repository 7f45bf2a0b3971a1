// What people do with viem: every kind of transaction, contracts, refusals, logs, filters, fees, batches, traces, sockets.

import assert from 'node:assert/strict';
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  decodeEventLog,
  defineChain,
  encodeFunctionData,
  getAddress,
  http,
  keccak256,
  numberToHex,
  webSocket,
} from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { key } from './support/chain.mjs';
import { compile } from './support/contracts.mjs';
import { CHAIN_ID, step, story } from './support/network.mjs';
import { until } from './support/until.mjs';

/** Longest that a node may take to tell of something, in milliseconds. */
const SOON = 20_000;
const BLOB = `0x01${'00'.repeat(31)}`;
const NOBODY = '0x0000000000000000000000000000000000000001';

story('viem does all it can against a node', async (network, t) => {
  // No block comes unasked, so that what is new can be compared.
  const node = await network.authority({ 'genesis.heartbeat_s': 600 }).start();
  const chain = { node, account: privateKeyToAccount(key(0)), ...clients(node), ...compile('Ledger') };
  await step(t, 'fees are zero, and a transaction without any is filled in', () => fillFees(chain));
  await step(t, 'transfers of types 0, 1, 2 and 4 are confirmed', () => transferEveryType(chain));
  await step(t, 'a transaction is sent and waited for in one call', () => sendAndWait(chain));
  await step(t, 'a blob transaction is refused by name', () => refuseBlob(chain));
  await step(t, 'a contract is deployed, called and changed', () => useContract(chain));
  await step(t, 'a reason and a custom error are decoded', () => seeRefusals(chain));
  await step(t, 'logs are found by filter', () => findLogs(chain));
  await step(t, 'filters of events, blocks and pending transactions give what is new', () => useFilters(chain));
  await step(t, 'calls in one turn go as one batch, and 1,000 of them too', () => batch(chain));
  await step(t, 'an access list is made, and a call runs with the state it is given', () => prepareCalls(chain));
  await step(t, 'a proof names the account and the slot', () => prove(chain));
  await step(t, 'a transaction is traced by its calls', () => trace(chain));
  await step(t, 'a watched event goes on after a restart that lost its filter', () => watchAcrossRestart(chain));
  await step(t, 'a socket hears of logs again after a restart', () => socketAcrossRestart(chain));
});

function clients(node, options = {}) {
  const described = defineChain({
    id: CHAIN_ID,
    name: 'clients',
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [node.url] } },
  });
  const shared = { chain: described, transport: http(node.url, options), pollingInterval: 50, cacheTime: 0 };
  return { reader: createPublicClient(shared), writer: createWalletClient({ ...shared, account: privateKeyToAccount(key(0)) }) };
}

/** The receipt of a transaction that was executed without fault. */
async function confirmed({ reader }, hash) {
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: SOON });
  assert.equal(receipt.status, 'success');
  return receipt;
}

async function fillFees(chain) {
  const { reader, account } = chain;
  assert.equal(await reader.getChainId(), CHAIN_ID);
  assert.deepEqual(await reader.estimateFeesPerGas(), { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n });
  assert.equal(await reader.getGasPrice(), 0n);
  assert.equal(await reader.estimateMaxPriorityFeePerGas(), 0n);
  assert.equal(await reader.getBlobBaseFee(), BigInt(await chain.node.rpc('eth_blobBaseFee')));
  const history = await reader.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] });
  assert.ok(history.baseFeePerGas.every((fee) => fee === 0n) && history.reward.flat().every((fee) => fee === 0n));
  const poor = createWalletClient({ chain: reader.chain, transport: http(chain.node.url), account: privateKeyToAccount(generatePrivateKey()) });
  const receipt = await confirmed(chain, await poor.sendTransaction({ to: account.address }));
  assert.deepEqual([receipt.type, receipt.effectiveGasPrice], ['eip1559', 0n]);
}

async function transferEveryType(chain) {
  const { reader, writer, account } = chain;
  const to = privateKeyToAccount(generatePrivateKey()).address;
  const accessList = [{ address: to, storageKeys: [`0x${'00'.repeat(32)}`] }];
  const authorizer = privateKeyToAccount(generatePrivateKey());
  const authorization = await authorizer.signAuthorization({ contractAddress: to, chainId: CHAIN_ID, nonce: 0 });
  const kinds = [
    { type: 'legacy' },
    { type: 'eip2930', accessList },
    { type: 'eip1559', accessList },
    { type: 'eip7702', authorizationList: [authorization] },
  ];
  for (const kind of kinds) {
    const hash = await writer.sendTransaction({ to, value: 5n, ...kind });
    assert.equal((await confirmed(chain, hash)).type, kind.type);
    const found = await reader.getTransaction({ hash });
    assert.deepEqual([found.type, found.value, getAddress(found.from)], [kind.type, 5n, account.address]);
  }
  assert.equal(await reader.getBalance({ address: to }), 20n);
  assert.equal(await reader.getCode({ address: authorizer.address }), `0xef0100${to.slice(2).toLowerCase()}`);
}

async function sendAndWait({ writer, account }) {
  const receipt = await writer.sendTransactionSync({ to: account.address, value: 1n });
  assert.deepEqual([receipt.status, receipt.type], ['success', 'eip1559']);
}

async function refuseBlob({ reader, writer, account }) {
  const nonce = await reader.getTransactionCount({ address: account.address });
  const serializedTransaction = await writer.signTransaction({
    type: 'eip4844',
    to: account.address,
    gas: 21_000n,
    nonce,
    maxFeePerGas: 1n,
    maxFeePerBlobGas: 1n,
    blobVersionedHashes: [BLOB],
    sidecars: false,
  });
  const refused = await reader.sendRawTransaction({ serializedTransaction }).then(assert.fail, (error) => error);
  assert.match(refused.details, /^transaction type not supported/);
  assert.equal(refused.walk((cause) => cause.code !== undefined).code, -32000);
}

async function useContract(chain) {
  const { reader, writer, abi, bytecode, account } = chain;
  const created = await confirmed(chain, await writer.deployContract({ abi, bytecode, args: [7n] }));
  chain.ledger = { address: getAddress(created.contractAddress), abi };
  const read = (options) => reader.readContract({ ...chain.ledger, functionName: 'latest', ...options });
  assert.equal(await read(), 7n);
  const receipt = await note(chain, 8n, 'eight');
  const { eventName, args } = decodeEventLog({ abi, ...receipt.logs[0] });
  assert.deepEqual([eventName, args], ['Noted', { who: account.address, number: 8n, text: 'eight' }]);
  assert.equal(await read(), 8n);
  assert.equal(await read({ blockNumber: receipt.blockNumber - 1n }), 7n);
  assert.equal(BigInt(await reader.getStorageAt({ address: chain.ledger.address, slot: '0x0' })), 8n);
}

/** Notes a number in the ledger. Answers the receipt. */
async function note(chain, number, text = '') {
  const hash = await chain.writer.writeContract({ ...chain.ledger, functionName: 'note', args: [number, text] });
  return confirmed(chain, hash);
}

async function seeRefusals({ reader, writer, ledger, account }) {
  const attempts = [
    (args) => reader.simulateContract({ ...ledger, functionName: 'note', args, account }),
    (args) => reader.estimateContractGas({ ...ledger, functionName: 'note', args, account }),
    (args) => writer.writeContract({ ...ledger, functionName: 'note', args }),
  ];
  for (const attempt of attempts) {
    const reverted = async (args) => {
      const error = await attempt(args).then(assert.fail, (error) => error);
      assert.ok(error instanceof BaseError, error.stack);
      return error.walk((cause) => cause instanceof ContractFunctionRevertedError) ?? assert.fail(error.stack);
    };
    assert.equal((await reverted([0n, ''])).reason, 'nothing to note');
    const { data } = await reverted([1_001n, '']);
    assert.deepEqual([data.errorName, ...data.args], ['TooMuch', account.address, 1_001n, 1_000n]);
  }
}

async function findLogs(chain) {
  const { reader, ledger, account } = chain;
  const receipt = await note(chain, 9n, 'nine');
  const numbers = async (options) =>
    (await reader.getContractEvents({ ...ledger, eventName: 'Noted', ...options })).map((log) => log.args.number);
  assert.deepEqual(await numbers({ fromBlock: 0n }), [8n, 9n]);
  assert.deepEqual(await numbers({ fromBlock: 0n, args: { who: account.address, number: [9n, 10n] } }), [9n]);
  assert.deepEqual(await numbers({ fromBlock: 'earliest', toBlock: receipt.blockNumber - 1n }), [8n]);
  assert.deepEqual(await numbers({ blockHash: receipt.blockHash }), [9n]);
  assert.deepEqual(await numbers({ fromBlock: 0n, args: { who: NOBODY } }), []);
}

async function useFilters(chain) {
  const { reader, ledger, account } = chain;
  const made = {
    event: await reader.createContractEventFilter({ ...ledger, eventName: 'Noted', args: { who: account.address } }),
    all: await reader.createEventFilter({ address: ledger.address, fromBlock: 0n }),
    block: await reader.createBlockFilter(),
    pending: await reader.createPendingTransactionFilter(),
  };
  const changes = (name) => reader.getFilterChanges({ filter: made[name] });
  const sent = [await note(chain, 11n), await note(chain, 12n)];
  const hashes = sent.map(({ transactionHash }) => transactionHash);
  assert.deepEqual((await changes('event')).map((log) => [log.args.number, log.transactionHash]), [[11n, hashes[0]], [12n, hashes[1]]]);
  assert.deepEqual(await changes('event'), []);
  assert.deepEqual(await changes('block'), sent.map(({ blockHash }) => blockHash));
  assert.deepEqual(await changes('pending'), hashes);
  const all = await reader.getFilterLogs({ filter: made.all });
  assert.deepEqual(all.slice(-2).map((log) => log.transactionHash), hashes);
  for (const filter of Object.values(made)) {
    assert.equal(await reader.uninstallFilter({ filter }), true);
    assert.equal(await reader.uninstallFilter({ filter }), false);
  }
  const gone = await changes('event').then(assert.fail, (error) => error);
  assert.match(gone.details, /^filter not found/);
}

async function batch({ node, ledger }) {
  const sizes = [];
  const onFetchRequest = async (_request, init) => {
    sizes.push(JSON.parse(init.body).length);
  };
  const { reader } = clients(node, { batch: true, onFetchRequest });
  const read = (functionName, args) => reader.readContract({ ...ledger, functionName, args });
  const asked = Array.from({ length: 999 }, () => read('latest'));
  const failing = read('note', [0n, '']).then(assert.fail, (error) => error.walk((cause) => cause.reason !== undefined).reason);
  assert.equal(await failing, 'nothing to note');
  assert.ok((await Promise.all(asked)).every((answer) => answer === 12n));
  assert.deepEqual(sizes, [1_000]);
}

async function prepareCalls({ reader, ledger, account }) {
  const data = encodeFunctionData({ abi: ledger.abi, functionName: 'note', args: [13n, ''] });
  const { accessList, gasUsed } = await reader.createAccessList({ account: account.address, to: ledger.address, data });
  assert.deepEqual(accessList.map(({ address, storageKeys }) => [getAddress(address), storageKeys]), [
    [ledger.address, [`0x${'00'.repeat(32)}`]],
  ]);
  assert.ok(gasUsed > 21_000n);
  const slot = `0x${'00'.repeat(32)}`;
  const stateOverride = [{ address: ledger.address, stateDiff: [{ slot, value: `0x${'00'.repeat(31)}2a` }] }];
  assert.equal(await reader.readContract({ ...ledger, functionName: 'latest', stateOverride }), 42n);
  const poor = privateKeyToAccount(generatePrivateKey()).address;
  const rich = { account: poor, to: account.address, value: 10n ** 20n };
  await assert.rejects(reader.estimateGas(rich), /insufficient funds/);
  const funded = { ...rich, stateOverride: [{ address: poor, balance: 10n ** 21n }] };
  assert.equal(await reader.estimateGas(funded), 21_000n);
}

async function prove({ reader, ledger }) {
  const block = await reader.getBlock();
  const proof = await reader.getProof({ address: ledger.address, storageKeys: ['0x0'], blockNumber: block.number });
  assert.equal(keccak256(proof.accountProof[0]), block.stateRoot);
  assert.equal(keccak256(proof.storageProof[0].proof[0]), proof.storageHash);
  assert.deepEqual([proof.nonce, proof.balance, proof.storageProof[0].value], [1, 0n, 12n]);
}

async function trace(chain) {
  const { reader, ledger, account } = chain;
  const { transactionHash, blockNumber } = await note(chain, 14n);
  const tracer = { tracer: 'callTracer' };
  const root = await reader.request({ method: 'debug_traceTransaction', params: [transactionHash, tracer] });
  assert.deepEqual([root.type, getAddress(root.from), getAddress(root.to)], ['CALL', account.address, ledger.address]);
  assert.match(root.input, /^0x[0-9a-f]{8}/);
  const [entry] = await reader.request({ method: 'debug_traceBlockByNumber', params: [numberToHex(blockNumber), tracer] });
  assert.deepEqual([entry.txHash, entry.result], [transactionHash, root]);
}

/** viem makes its filter anew when the node says that it does not know it, and misses nothing in between. */
async function watchAcrossRestart(chain) {
  const { node, reader, ledger } = chain;
  const [seen, errors] = [[], []];
  const unwatch = reader.watchContractEvent({
    ...ledger,
    eventName: 'Noted',
    onLogs: (logs) => seen.push(...logs.map((log) => log.args.number)),
    onError: (error) => errors.push(error.details ?? error.message),
  });
  await until('viem has made its filter', SOON, async () => (await count(node, 'eth_getFilterChanges', 'ok')) > 0);
  await note(chain, 21n);
  await until('viem has heard of it', SOON, () => seen.length === 1);
  await node.stop();
  await node.start();
  await until('viem has made its filter again', SOON, async () => (await count(node, 'eth_getFilterChanges', 'ok')) > 0);
  assert.equal(await count(node, 'eth_newFilter', 'ok'), 1);
  assert.ok(errors.some((error) => error.startsWith('filter not found')), `${errors}`);
  await note(chain, 22n);
  await until('viem has heard of what came after the restart', SOON, () => seen.length === 2);
  assert.deepEqual(seen, [21n, 22n]);
  unwatch();
}

/** How often a method was answered so since the node started. */
async function count(node, method, outcome) {
  const line = new RegExp(`^callboard_rpc_requests_total\\{method="${method}",outcome="${outcome}"\\} (\\d+)$`, 'm');
  return Number(line.exec((await node.get('/metrics')).body)?.[1] ?? 0);
}

async function socketAcrossRestart(chain) {
  const { node, ledger } = chain;
  // viem tries only once: after a pause in which the node comes back.
  const transport = webSocket(node.url.replace('http', 'ws'), { reconnect: { delay: 3_000 } });
  const client = createPublicClient({ transport });
  const seen = [];
  const onLogs = (logs) => seen.push(...logs.map((log) => log.args.number));
  const unwatch = client.watchContractEvent({ ...ledger, eventName: 'Noted', onLogs, onError: () => {} });
  const subscribed = async () => (await count(node, 'eth_subscribe', 'ok')) === 1;
  await until('viem is subscribed', SOON, subscribed);
  await note(chain, 31n);
  await until('viem has heard of it', SOON, () => seen.length === 1);
  await node.stop();
  await node.start();
  await until('viem is subscribed again', SOON, subscribed);
  await note(chain, 32n);
  await until('viem has heard of what came after the restart', SOON, () => seen.length === 2);
  assert.deepEqual(seen, [31n, 32n]);
  unwatch();
  (await client.transport.getRpcClient()).close();
}
