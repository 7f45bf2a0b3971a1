// What is refused over RPC, with the codes and texts that clients match.

import assert from 'node:assert/strict';
import { ethers } from 'ethers';
import { cast } from './support/cast.mjs';
import { confirm, quiet, transfer, transfers, wallet } from './support/chain.mjs';
import { compile } from './support/contracts.mjs';
import { RpcError } from './support/node.mjs';
import { story } from './support/network.mjs';

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const GAS_CAP = 16_777_216n;

/** A transaction of `from` with any fields, signed as it is. */
function signed(from, fields) {
  const transaction = ethers.Transaction.from(fields);
  transaction.signature = from.signingKey.sign(transaction.unsignedHash);
  return transaction;
}

/** The same signature with the other s and the other parity: valid before EIP-2. */
function withHighS(raw) {
  const [type, list] = [raw.slice(0, 4), ethers.decodeRlp(`0x${raw.slice(4)}`)];
  const s = ORDER - BigInt(list.at(-1));
  const parity = list.at(-3) === '0x' ? '0x01' : '0x';
  return type + ethers.encodeRlp([...list.slice(0, -3), parity, list.at(-2), ethers.toBeHex(s, 32)]).slice(2);
}

/** A typed transaction of any fields, also of some that ethers would not sign. */
function typed(from, type, fields) {
  const bytes = (field) => {
    if (typeof field !== 'bigint') return field;
    return field === 0n ? '0x' : ethers.toBeHex(field);
  };
  const list = fields.map(bytes);
  const { r, s, yParity } = from.signingKey.sign(ethers.keccak256(ethers.concat([type, ethers.encodeRlp(list)])));
  return ethers.concat([type, ethers.encodeRlp([...list, ...[BigInt(yParity), BigInt(r), BigInt(s)].map(bytes)])]);
}

/** A blob transaction without its blobs, as it stands in a block. */
function blob(from, chainId) {
  const versioned = [`0x01${'00'.repeat(31)}`];
  return typed(from, '0x03', [chainId, 0n, 1n, 1n, 21_000n, from.address, 0n, '0x', [], 1n, versioned]);
}

async function refusal(node, method, ...params) {
  try {
    await node.rpc(method, ...params);
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error(`${method} was not refused`);
}

story('every wrong transaction is refused with the code and text that clients match', async (network, t) => {
  const authority = await network.authority().start();
  const chainId = BigInt(await authority.rpc('eth_chainId'));
  const [from, to] = [wallet(0), wallet(1).address];
  await confirm(authority, await transfers(0, 0, 3));
  const used = await transfer(from, 2);
  const next = { nonce: 3 };
  const poor = ethers.Wallet.createRandom();
  const legacy = { type: 0, to, gasLimit: 21_000n, gasPrice: 0n, chainId, nonce: 3 };
  const balance = BigInt(await authority.rpc('eth_getBalance', from.address, 'latest'));
  const sealed = await transfer(from, 3);
  const create = { to: null, value: 0n, data: `0x${'00'.repeat(49_153)}`, gasLimit: 16_000_000n, ...next };

  const rows = [
    ['legacy of another chain', signed(from, { ...legacy, chainId: 1n }).serialized, -32000, 'invalid chain id for signer'],
    ['type 2 of another chain', await transfer(from, 3, { chainId: 1 }), -32000, 'invalid chain id for signer'],
    ['no chain id', signed(from, { ...legacy, chainId: 0n }).serialized, -32000,
      'only replay-protected (EIP-155) transactions allowed over RPC'],
    ['type 3', blob(from, chainId), -32000, 'transaction type not supported'],
    ['a type nobody knows', '0x05c0', -32000, 'transaction type not supported'],
    ['high s', withHighS(sealed), -32000, 'invalid sender'],
    ['used nonce', await transfer(from, 2, { to }), -32000, 'nonce too low: next nonce 3, tx nonce 2'],
    ['confirmed already', used, -32000, 'nonce too low: next nonce 3, tx nonce 2'],
    ['nonce far ahead', await transfer(from, 100_000), -32000, 'nonce too high'],
    ['value above the balance', await transfer(from, 3, { value: balance + 1n }), -32000,
      'insufficient funds for gas * price + value'],
    ['gas above the balance', await transfer(from, 3, { value: balance, maxFeePerGas: 1n }), -32000,
      'insufficient funds for gas * price + value'],
    ['no funds at all', await transfer(poor, 0), -32000, 'insufficient funds for'],
    ['too little gas', await transfer(from, 3, { gasLimit: 20_999n }), -32000, 'intrinsic gas too low'],
    ['more gas than EIP-7825 allows', await transfer(from, 3, { gasLimit: GAS_CAP + 1n }), -32000,
      'transaction gas limit too high'],
    ['more gas than a block has', await transfer(from, 3, { gasLimit: 30_000_001n }), -32000,
      'transaction gas limit too high'],
    ['tip above the fee', typed(from, '0x02', [chainId, 3n, 1n, 0n, 21_000n, to, 0n, '0x', []]), -32000,
      'max priority fee per gas higher than max fee per gas'],
    ['initcode', await transfer(from, 3, create), -32000, 'max initcode size exceeded'],
    ['bytes after a type 2', `${sealed}00`, -32602, 'invalid transaction: 1 bytes after the transaction'],
    ['bytes after a legacy one', `${signed(from, legacy).serialized}beef`, -32602,
      'invalid transaction: 2 bytes after the transaction'],
    ['cut short', sealed.slice(0, -2), -32602, 'invalid transaction'],
    ['nothing', '0x', -32602, 'invalid transaction'],
    ['no hex', '0xyz', -32602, ''],
  ];
  for (const [name, raw, code, text] of rows) {
    await t.test(name, async () => {
      const error = await refusal(authority, 'eth_sendRawTransaction', raw);
      assert.equal(error.code, code, error.message);
      assert.ok(error.text.startsWith(text), error.message);
    });
  }
  const head = await quiet(authority);
  assert.equal(Number(await authority.rpc('eth_getTransactionCount', from.address, 'pending')), 3);
  assert.equal(head.height, await authority.height());

  await t.test('a pending transaction again, and one in its place that offers less', async () => {
    // Behind a gap it stays in the pool.
    const held = await transfer(from, 5, { maxFeePerGas: 10n, maxPriorityFeePerGas: 10n });
    await authority.rpc('eth_sendRawTransaction', held);
    const again = await refusal(authority, 'eth_sendRawTransaction', held);
    assert.deepEqual([again.code, again.text.slice(0, 13)], [-32000, 'already known']);
    const cheaper = await refusal(authority, 'eth_sendRawTransaction', await transfer(from, 5, { to }));
    assert.equal(cheaper.code, -32000);
    assert.match(cheaper.text, /^replacement transaction underpriced/);
  });
  await t.test('cast shows the sentence', async () => {
    const sending = cast(authority, 'publish', await transfer(from, 0));
    await assert.rejects(sending, /nonce too low: next nonce 3, tx nonce 0/);
  });
});

story('more gas than a block of a small chain has is refused by name', async (network) => {
  const authority = await network.authority({ 'genesis.gas_limit': 10_000_000 }).start();
  const error = await refusal(authority, 'eth_sendRawTransaction', await transfer(wallet(0), 0, { gasLimit: 10_000_001n }));
  assert.equal(error.code, -32000);
  assert.match(error.text, /^exceeds block gas limit/);
});

story('a fee below the base fee is refused by name', async (network) => {
  const authority = await network.authority({ 'genesis.base_fee': 'eip1559' }).start();
  const error = await refusal(authority, 'eth_sendRawTransaction', await transfer(wallet(0), 0));
  assert.equal(error.code, -32000);
  assert.match(error.text, /^max fee per gas less than block base fee/);
});

story('wrong calls and requests are answered with the code that says whose fault it is', async (network) => {
  const authority = await network.authority().start();
  const { abi, bytecode } = compile('MyToken');
  const { address } = wallet(0);
  const create = ethers.concat([bytecode, ethers.AbiCoder.defaultAbiCoder().encode(['address'], [address])]);
  const deployed = await confirm(authority, [await transfer(wallet(0), 0, { to: null, value: 0n, data: create, gasLimit: 3_000_000n })]);
  const face = new ethers.Interface(abi);
  const mint = { from: address, to: deployed.contractAddress, data: face.encodeFunctionData('mint', [address, 0n]) };
  for (const method of ['eth_call', 'eth_estimateGas']) {
    const error = await refusal(authority, method, mint);
    assert.deepEqual([error.code, error.text], [3, 'execution reverted: nothing to mint'], method);
    assert.match(error.data, /^0x08c379a0/);
  }
  const short = await refusal(authority, 'eth_call', { ...mint, gas: '0x5210' }, 'latest');
  assert.ok(short.code === -32000, short.message);
  const unknown = await refusal(authority, 'eth_getBalance', address, '0xffffff');
  assert.deepEqual([unknown.code, unknown.text.slice(0, 13)], [-32000, 'unknown block']);
  const method = await refusal(authority, 'eth_sendTransaction', { from: address });
  assert.equal(method.code, -32601);
  assert.match(method.text, /^the method eth_sendTransaction does not exist\/is not available/);
  assert.equal((await refusal(authority, 'eth_getBalance')).code, -32602);

  const raw = async (body) => {
    const answer = await fetch(authority.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    return answer.json();
  };
  assert.equal((await raw('{"jsonrpc":"2.0",')).error.code, -32700);
  assert.equal((await raw('[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},')).error.code, -32700);
  assert.equal((await raw('{"id":1}')).error.code, -32600);
  const call = { jsonrpc: '2.0', id: 1, method: 'eth_chainId' };
  const large = await raw(JSON.stringify(Array.from({ length: 1_001 }, () => call)));
  assert.deepEqual([large.error.code, large.error.message.slice(0, 15)], [-32600, 'batch too large']);
  const missing = await authority.get(`/rpc/transactions/${ethers.ZeroHash}`);
  assert.deepEqual([missing.status, missing.body], [404, { success: false, error: 'Transaction not found' }]);
});
