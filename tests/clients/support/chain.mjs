// Accounts, transactions and comparisons of chains.

import assert from 'node:assert/strict';
import { ethers } from 'ethers';
import { compile } from './contracts.mjs';
import { CHAIN_ID } from './network.mjs';
import { until } from './until.mjs';

const MNEMONIC = 'test test test test test test test test test test test junk';

/** The key of account `index` of the development mnemonic; 0 to 9 hold 10,000 ether each. */
export function key(index) {
  return ethers.HDNodeWallet.fromPhrase(MNEMONIC, undefined, `m/44'/60'/0'/0/${index}`).privateKey;
}

/** A node as ethers knows it: nothing cached, looked at often. */
export function provider(node) {
  const options = { staticNetwork: true, cacheTimeout: -1, pollingInterval: 50 };
  return new ethers.JsonRpcProvider(node.url, CHAIN_ID, options);
}

/** Wallet `index` on a node. */
export function wallet(index, on) {
  return new ethers.Wallet(key(index), on);
}

/** A signed transfer that costs nothing, raw. */
export function transfer(from, nonce, values = {}) {
  const fields = { type: 2, to: from.address, value: 1n, gasLimit: 21_000n, chainId: CHAIN_ID, nonce, ...values };
  const fees = fields.type === 2 ? { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n } : { gasPrice: 0n };
  return from.signTransaction({ ...fees, ...fields });
}

/** `count` transfers of account `index`, signed. */
export async function transfers(index, first, count, values) {
  const from = wallet(index);
  const signed = [];
  for (let nonce = first; nonce < first + count; nonce += 1) signed.push(await transfer(from, nonce, values));
  return signed;
}

/** Sends raw transactions in batches and waits for the last one. */
export async function confirm(node, raw, milliseconds = 60_000) {
  const hashes = await node.rpcs('eth_sendRawTransaction', raw.map((bytes) => [bytes]));
  return receipt(node, hashes.at(-1), milliseconds);
}

/** The receipt, once there is one. */
export function receipt(node, hash, milliseconds = 60_000) {
  return until(`${hash} is confirmed`, milliseconds, () => node.rpc('eth_getTransactionReceipt', hash));
}

/** Blocks of one call each, which takes long to execute. Answers the height. */
export async function fillWithWork(node, blocks, gas = 5_000_000n) {
  const { abi, bytecode } = compile('Work');
  const from = wallet(9);
  const nonce = Number(await node.rpc('eth_getTransactionCount', from.address, 'latest'));
  const created = await confirm(node, [await transfer(from, nonce, { to: null, value: 0n, data: bytecode, gasLimit: gas })]);
  const data = new ethers.Interface(abi).encodeFunctionData('burn', [100_000n]);
  const values = { to: created.contractAddress, value: 0n, data, gasLimit: gas };
  for (const raw of await transfers(9, nonce + 1, blocks, values)) {
    assert.equal((await confirm(node, [raw])).status, '0x1');
  }
  return node.height();
}

/** Height → hash of every block, as a node gives it over REST. */
export async function hashes(node) {
  const found = new Map();
  for (let start = 0; start !== null; ) {
    const { body } = await node.get(`/rpc/blocks-range?start=${start}&end=1000000000&include_tx=false&limit=1000`);
    for (const block of body.blocks) found.set(block.height, block.hash);
    start = body.next;
  }
  return found;
}

/** The head of a node that has nothing left to do: every pending transaction is in a block. */
export async function quiet(node) {
  return until(`${node.name} has nothing pending`, 60_000, async () => {
    const { pending, queued } = await node.rpc('txpool_status');
    return Number(pending) === 0 && Number(queued) === 0 && node.head();
  });
}

/** For every height: hash, roots and canonical bytes are equal. Answers the height up to which that holds. */
export async function assertEqualChains(ours, others) {
  const head = await ours.head();
  const heights = Array.from({ length: head.height + 1 }, (_, height) => [height]);
  const quantities = heights.map(([height]) => [ethers.toQuantity(height), false]);
  const read = async (node) => {
    const blocks = await node.rpcs('eth_getBlockByNumber', quantities);
    const bytes = await node.rpcs('callboard_getSealedBlock', heights);
    return { blocks, bytes };
  };
  const expected = await read(ours);
  assert.equal(expected.blocks.length, head.height + 1);
  for (const other of others) {
    await other.reaches(head.height);
    const actual = await read(other);
    for (const [height] of heights) {
      const [a, b] = [expected.blocks[height], actual.blocks[height]];
      for (const field of ['number', 'hash', 'stateRoot', 'receiptsRoot', 'transactionsRoot']) {
        assert.equal(b[field], a[field], `${field} of block ${height} on ${other.name}`);
      }
      assert.equal(actual.bytes[height], expected.bytes[height], `bytes of block ${height} on ${other.name}`);
    }
  }
  return head.height;
}

/** What two nodes say of these accounts is equal, and something. */
export async function assertEqualAccounts(ours, others, addresses) {
  for (const method of ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode']) {
    const list = addresses.map((address) => [address, 'latest']);
    const expected = await ours.rpcs(method, list);
    for (const other of others) assert.deepEqual(await other.rpcs(method, list), expected, `${method} on ${other.name}`);
  }
}
