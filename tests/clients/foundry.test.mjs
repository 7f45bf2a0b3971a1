// What people do with Foundry: cast sends, reads, refuses and listens; forge deploys and runs scripts.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ethers } from 'ethers';
import { cast, castJson, foundryEnvironment, program } from './support/cast.mjs';
import { key, wallet } from './support/chain.mjs';
import { forgeProject } from './support/forge.mjs';
import { CHAIN_ID, step, story } from './support/network.mjs';
import { until } from './support/until.mjs';

/** Longest that a node may take to tell of something, in milliseconds. */
const SOON = 20_000;
const NOTED = 'Noted(address indexed,uint256 indexed,string)';
const TOO_MUCH = 'TooMuch(address,uint256,uint256)';
const SENDER = ['--private-key', key(0)];

story('cast and forge do all they can against a node', async (network, t) => {
  // No block comes unasked, so that what is new can be compared.
  const node = await network.authority({ 'genesis.heartbeat_s': 600 }).start();
  const forge = forgeProject(join(network.folder, 'project'), 'Ledger', 'Note');
  const chain = { node, forge, folder: network.folder, owner: wallet(0).address };
  await step(t, 'forge deploys a contract', () => deploy(chain));
  await step(t, 'forge runs a script of three transactions', () => runScript(chain));
  await step(t, 'forge does both for an account without funds', () => deployForFree(chain));
  await step(t, 'fees are zero, and an account without funds says so', () => seeFees(chain));
  await step(t, 'cast transfers with types 0, 1, 2 and 4', () => transferEveryType(chain));
  await step(t, 'a blob transaction is refused by name', () => refuseBlob(chain));
  await step(t, 'a reason and a custom error are shown', () => seeRefusals(chain));
  await step(t, 'cast reads blocks, transactions, receipts and accounts', () => read(chain));
  await step(t, 'cast reads logs by filter', () => readLogs(chain));
  await step(t, 'cast makes an access list and proves a slot', () => prepare(chain));
  await step(t, 'cast hears of logs over WebSocket', () => subscribe(chain));
  await step(t, 'cast shows what waits in the pool', () => readPool(chain));
  await step(t, 'cast runs a confirmed transaction again, and reads the trace of the node', () => trace(chain));
});

async function deploy(chain) {
  const { node, forge, owner } = chain;
  const printed = await forge(node, 'create', 'src/Ledger.sol:Ledger', '--broadcast', '--json', ...SENDER, '--constructor-args', 7);
  const { deployer, deployedTo, transactionHash } = JSON.parse(printed.slice(printed.indexOf('{')));
  assert.equal(deployer, owner);
  const receipt = await node.rpc('eth_getTransactionReceipt', transactionHash);
  assert.deepEqual([receipt.status, receipt.contractAddress], ['0x1', deployedTo.toLowerCase()]);
  chain.ledger = deployedTo;
  assert.equal(await latest(chain), '7');
}

/** What a ledger holds. */
async function latest({ node, ledger }, address = ledger) {
  return cast(node, 'call', address, 'latest()(uint256)');
}

async function runScript(chain) {
  const { node, forge, folder } = chain;
  await forge(node, 'script', 'script/Note.s.sol', '--sig', 'run(uint256)', 20, '--broadcast', ...SENDER);
  const { transactions, receipts } = lastRun(folder);
  assert.deepEqual(transactions.map((entry) => entry.transactionType), ['CREATE', 'CALL', 'CALL']);
  assert.deepEqual(receipts.map((entry) => entry.status), ['0x1', '0x1', '0x1']);
  assert.equal(await latest(chain, transactions[0].contractAddress), '22');
}

/** What forge keeps of the last script it ran. */
function lastRun(folder) {
  const file = join(folder, 'project', 'broadcast', 'Note.s.sol', String(CHAIN_ID), 'run-latest.json');
  return JSON.parse(readFileSync(file, 'utf8'));
}

async function deployForFree({ node, forge, folder }) {
  const poor = ['--private-key', ethers.Wallet.createRandom().privateKey, '--broadcast', '--legacy'];
  await forge(node, 'create', 'src/Ledger.sol:Ledger', ...poor, '--gas-price', 0, '--constructor-args', 7);
  await forge(node, 'script', 'script/Note.s.sol', '--sig', 'run(uint256)', 30, ...poor, '--with-gas-price', 0);
  const { receipts } = lastRun(folder);
  assert.deepEqual(receipts.map((entry) => [entry.status, entry.effectiveGasPrice]), Array(3).fill(['0x1', '0x0']));
}

async function seeFees({ node, owner }) {
  assert.equal(await cast(node, 'gas-price'), '0');
  assert.equal(await cast(node, 'base-fee'), '0');
  const { baseFeePerGas } = await castJson(node, 'rpc', 'eth_feeHistory', '0x2', 'latest', '[50]');
  assert.ok(baseFeePerGas.every((fee) => fee === '0x0'));
  const poor = () => ['--private-key', ethers.Wallet.createRandom().privateKey];
  // Foundry offers 1 wei unasked, so an account without funds can pay for no gas at all.
  await assert.rejects(cast(node, 'send', owner, ...poor()), /gas required exceeds allowance \(0\)/);
  const free = [['--legacy', '--gas-price', 0], ['--gas-price', 0, '--priority-gas-price', 0]];
  for (const options of free) {
    const { status, effectiveGasPrice } = await castJson(node, 'send', owner, ...poor(), ...options);
    assert.deepEqual([status, effectiveGasPrice], ['0x1', '0x0']);
  }
}

async function transferEveryType({ node, ledger }) {
  const to = ethers.Wallet.createRandom().address;
  const access = JSON.stringify([{ address: ledger, storageKeys: [ethers.ZeroHash] }]);
  const authorizer = ethers.Wallet.createRandom();
  const auth = await cast(node, 'wallet', 'sign-auth', ledger, '--private-key', authorizer.privateKey, '--nonce', 0);
  const kinds = [
    ['0x0', '--legacy'],
    ['0x1', '--legacy', '--access-list', access],
    ['0x2', '--access-list', access],
    ['0x4', '--auth', auth],
  ];
  for (const [type, ...options] of kinds) {
    const receipt = await castJson(node, 'send', to, '--value', 5, ...SENDER, ...options);
    assert.deepEqual([receipt.status, receipt.type], ['0x1', type]);
  }
  assert.equal(await cast(node, 'balance', to), '20');
  assert.equal(await cast(node, 'code', authorizer.address), `0xef0100${ledger.slice(2).toLowerCase()}`);
}

/** With its blobs, as it would go from node to node, and in both forms that the proofs of blobs have had. */
async function refuseBlob({ node, folder, owner }) {
  const file = join(folder, 'blob');
  writeFileSync(file, 'what would be in a blob');
  for (const form of [[], ['--eip4844']]) {
    const options = ['--blob', ...form, '--path', file, '--blob-gas-price', 1, '--gas-limit', 21_000];
    await assert.rejects(cast(node, 'send', owner, ...options, ...SENDER), /error code -32000: transaction type not supported/);
  }
}

async function seeRefusals({ node, ledger, owner }) {
  const attempts = [['call', '--from', owner], ['estimate', '--from', owner], ['send', ...SENDER]];
  for (const [command, ...options] of attempts) {
    const refused = (...args) =>
      cast(node, command, ledger, 'note(uint256,string)', ...args, ...options).then(assert.fail, (error) => error.stderr);
    assert.match(await refused(0, ''), /error code 3: execution reverted: nothing to note/);
    const custom = await refused(1_001, '');
    assert.match(custom, /error code 3: execution reverted/);
    const [, data] = /data: "(0x[0-9a-f]+)"/.exec(custom);
    const decoded = await cast(node, 'decode-error', '--sig', TOO_MUCH, data);
    assert.deepEqual(decoded.split('\n').map((line) => line.split(' ')[0]), [owner, '1001', '1000']);
  }
}

async function read({ node, ledger, owner }) {
  const sent = await castJson(node, 'send', ledger, 'note(uint256,string)', 9, 'nine', ...SENDER);
  const block = await castJson(node, 'block', 'latest');
  assert.deepEqual([block.hash, block.transactions, block.baseFeePerGas], [sent.blockHash, [sent.transactionHash], '0x0']);
  assert.equal((await castJson(node, 'block', 'latest', '--full')).transactions[0].hash, sent.transactionHash);
  assert.equal(await cast(node, 'block-number'), String(BigInt(sent.blockNumber)));
  assert.ok(Number(await cast(node, 'find-block', BigInt(block.timestamp))) <= Number(block.number));
  const transaction = await castJson(node, 'tx', sent.transactionHash);
  assert.deepEqual([transaction.from, transaction.to], [owner.toLowerCase(), ledger.toLowerCase()]);
  assert.equal(await cast(node, 'tx', sent.transactionHash, '--raw'), await node.rpc('eth_getRawTransactionByHash', sent.transactionHash));
  const receipt = await castJson(node, 'receipt', sent.transactionHash);
  assert.deepEqual(receipt, sent);
  assert.equal(await cast(node, 'nonce', owner), String(BigInt(transaction.nonce) + 1n));
  assert.equal(await cast(node, 'chain-id'), String(CHAIN_ID));
  assert.match(await cast(node, 'client'), /^callboard/i);
  assert.equal(BigInt(await cast(node, 'storage', ledger, 0)), 9n);
  assert.equal(await cast(node, 'codehash', ledger), ethers.keccak256(await cast(node, 'code', ledger)));
  assert.ok(Number(await cast(node, 'estimate', ledger, 'note(uint256,string)', 10, '', '--from', owner)) > 21_000);
}

async function readLogs({ node, ledger, owner }) {
  const found = async (...filter) => {
    const logs = await castJson(node, 'logs', '--from-block', 0, '--address', ledger, ...filter);
    return logs.map((log) => BigInt(log.topics[2]));
  };
  assert.deepEqual(await found(), [9n]);
  assert.deepEqual(await found(NOTED, owner), [9n]);
  assert.deepEqual(await found(NOTED, owner, 10), []);
}

async function prepare({ node, ledger, owner }) {
  const { accessList } = await castJson(node, 'access-list', ledger, 'note(uint256,string)', 10, '', '--from', owner);
  assert.deepEqual(accessList, [{ address: ledger.toLowerCase(), storageKeys: [ethers.ZeroHash] }]);
  const block = await castJson(node, 'block', 'latest');
  const proof = JSON.parse(await cast(node, 'proof', ledger, 0, '--block', BigInt(block.number)));
  assert.equal(ethers.keccak256(proof.accountProof[0]), block.stateRoot);
  assert.deepEqual(proof.storageProof.map(({ value }) => value), ['0x9']);
}

async function subscribe({ node, ledger }) {
  // With --json it writes nothing until it has a lot.
  const args = ['logs', '--subscribe', '--address', ledger, '--rpc-url', node.url.replace('http', 'ws')];
  const listener = spawn(program('cast'), args, { env: foundryEnvironment(node), stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => listener.on('close', resolve));
  let heard = '';
  listener.stdout.on('data', (data) => (heard += data));
  try {
    await until('cast is subscribed', SOON, async () =>
      /method="eth_subscribe",outcome="ok"\} 1$/m.test((await node.get('/metrics')).body));
    const sent = await castJson(node, 'send', ledger, 'note(uint256,string)', 11, 'eleven', ...SENDER);
    await until('cast has heard of the log', SOON, () => heard.includes(sent.transactionHash));
  } finally {
    listener.kill();
    await ended;
  }
}

async function readPool({ node, owner }) {
  const from = wallet(3).address;
  const ahead = ['--private-key', key(3), '--nonce', 1, '--async', '--gas-limit', 21_000];
  const hash = await cast(node, 'send', owner, ...ahead);
  assert.deepEqual(await castJson(node, 'tx-pool', 'status'), { pending: '0x0', queued: '0x1' });
  const { queued } = JSON.parse(await cast(node, 'tx-pool', 'content'));
  const [[sender, byNonce]] = Object.entries(queued);
  assert.deepEqual([sender.toLowerCase(), byNonce[1].hash], [from.toLowerCase(), hash]);
}

async function trace({ node, ledger, owner }) {
  const { transactionHash } = await castJson(node, 'send', ledger, 'note(uint256,string)', 12, 'twelve', ...SENDER);
  const replayed = await cast(node, 'run', transactionHash);
  assert.match(replayed, /Transaction successfully executed/);
  const traced = await castJson(node, 'rpc', 'debug_traceTransaction', transactionHash, '{"tracer":"callTracer"}');
  assert.deepEqual([traced.type, traced.from, traced.to], ['CALL', owner.toLowerCase(), ledger.toLowerCase()]);
}
