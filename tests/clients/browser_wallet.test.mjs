// What a browser wallet asks of a node when somebody adds the network and sends, in its order; and from which origins.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { ethers } from 'ethers';
import { withExtension } from './support/browser.mjs';
import { wallet } from './support/chain.mjs';
import { CHAIN_ID, step, story } from './support/network.mjs';
import { until } from './support/until.mjs';

/** MetaMask in Chromium: the origin of what the extension itself sends. */
const EXTENSION = 'chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn';
/** A page that talks to the node without a wallet. */
const PAGE = 'https://app.example';
const STRANGER = 'https://evil.example';
const SOON = 20_000;

/** What a browser asks before a page of `origin` may post JSON. Answers the status and the headers of the permission. */
async function preflight(node, origin) {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
  return permission(await fetch(node.url, { method: 'OPTIONS', headers }));
}

/** A call as the browser sends it for `origin`. */
async function post(node, origin, method, params = []) {
  const headers = { origin, 'content-type': 'application/json', accept: 'application/json' };
  // Wallets number their calls at random, with more digits than 32 bits have.
  const body = JSON.stringify({ id: 4_398_046_511_104 + Math.floor(Math.random() * 1e6), jsonrpc: '2.0', method, params });
  const answer = await fetch(node.url, { method: 'POST', headers, body });
  return { ...permission(answer), body: await answer.json() };
}

function permission(answer) {
  const { status, headers } = answer;
  return { status, origin: headers.get('access-control-allow-origin'), headers: headers.get('access-control-allow-headers') };
}

/** What a wallet holds of a network, and its calls: an error is thrown. */
class Wallet {
  constructor(node, origin) {
    Object.assign(this, { node, origin, networks: [] });
  }

  async call(method, ...params) {
    const { status, origin, body } = await post(this.node, this.origin, method, params);
    assert.deepEqual([status, origin], [200, this.origin], method);
    if (body.error) throw Object.assign(new Error(body.error.message), body.error);
    return body.result;
  }

  /** EIP-3085, with the checks that MetaMask makes before it asks the user. */
  async addEthereumChain({ chainId, chainName, rpcUrls, nativeCurrency }) {
    assert.match(chainId, /^0x[1-9a-f][0-9a-f]*$/);
    assert.ok(Number.isSafeInteger(Number(chainId)));
    assert.ok(chainName && nativeCurrency.decimals === 18 && /^\S{1,11}$/.test(nativeCurrency.symbol));
    const [url] = rpcUrls.map((url) => new URL(url));
    assert.ok(url.protocol === 'https:' || ['localhost', '127.0.0.1'].includes(url.hostname));
    assert.equal(await this.call('eth_chainId'), chainId);
    assert.equal(await this.call('net_version'), String(Number(chainId)));
    this.networks.push(chainId);
  }
}

story('a browser wallet adds the network and sends', async (network, t) => {
  const node = await network.authority({ 'rpc.cors': [EXTENSION] }).start();
  const browser = new Wallet(node, EXTENSION);
  const state = { browser, account: wallet(0), friend: ethers.Wallet.createRandom().address };
  await step(t, 'it is allowed to ask', async () => {
    assert.equal((await preflight(node, EXTENSION)).origin, EXTENSION);
  });
  await step(t, 'it adds the network', () => addNetwork(state));
  await step(t, 'it shows the balance and follows the chain', () => follow(state));
  await step(t, 'it prepares a transfer: no fee is asked', () => prepare(state));
  await step(t, 'it sends, and sees the receipt', () => send(state));
  await step(t, 'it sends with the fees of an advanced user too', () => sendDearly(state));
  await step(t, 'it looks ahead at a call with balances of its choice', () => simulate(state));
  await step(t, 'it warns of a transaction that would fail', () => warn(state));
});

async function addNetwork({ browser }) {
  const chain = {
    chainId: ethers.toQuantity(CHAIN_ID),
    chainName: 'Callboard',
    rpcUrls: [browser.node.url],
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  };
  await assert.rejects(browser.addEthereumChain({ ...chain, chainId: '0x1' }), /0x1ca3/);
  await browser.addEthereumChain(chain);
  assert.deepEqual(browser.networks, [chain.chainId]);
}

async function follow({ browser, account }) {
  const head = await browser.call('eth_blockNumber');
  const block = await browser.call('eth_getBlockByNumber', head, false);
  // Whether the network has EIP-1559 is read from this member.
  assert.deepEqual([block.number, block.baseFeePerGas], [head, '0x0']);
  assert.equal((await browser.call('eth_getBlockByNumber', 'latest', false)).hash, block.hash);
  assert.equal(await browser.call('eth_getBalance', account.address, head), ethers.toQuantity(ethers.parseEther('10000')));
  assert.equal(await browser.call('eth_getBalance', account.address, 'latest'), ethers.toQuantity(ethers.parseEther('10000')));
}

async function prepare(state) {
  const { browser, account, friend } = state;
  const transaction = { from: account.address, to: friend, value: '0xde0b6b3a7640000', data: '0x' };
  assert.equal(await browser.call('eth_getCode', friend, 'latest'), '0x');
  assert.equal(await browser.call('eth_gasPrice'), '0x0');
  const history = await browser.call('eth_feeHistory', '0x5', 'latest', [10, 20, 30]);
  assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1);
  assert.ok(history.baseFeePerGas.every((fee) => fee === '0x0'));
  assert.ok(history.reward.every((row) => row.length === 3 && row.every((fee) => fee === '0x0')));
  const block = await browser.call('eth_getBlockByNumber', 'latest', false);
  // The wallet lends its estimate the gas of a whole block.
  const gas = await browser.call('eth_estimateGas', { ...transaction, gas: ethers.toQuantity((BigInt(block.gasLimit) * 19n) / 20n) });
  assert.equal(gas, '0x5208');
  state.nonce = Number(await browser.call('eth_getTransactionCount', account.address, 'latest'));
  state.transaction = { to: friend, value: 10n ** 18n, gasLimit: gas, chainId: CHAIN_ID, type: 2 };
}

/** Signs, sends, and polls as the wallet does. Answers the receipt. */
async function confirm({ browser, account, transaction, nonce }, values) {
  const raw = await account.signTransaction({ ...transaction, nonce, ...values });
  const hash = await browser.call('eth_sendRawTransaction', raw);
  assert.equal(hash, ethers.keccak256(raw));
  assert.notEqual(await browser.call('eth_getTransactionByHash', hash), null);
  const receipt = await until(`${hash} is confirmed`, SOON, async () => {
    await browser.call('eth_blockNumber');
    return browser.call('eth_getTransactionReceipt', hash);
  });
  const { baseFeePerGas, timestamp } = await browser.call('eth_getBlockByHash', receipt.blockHash, false);
  assert.ok(baseFeePerGas === '0x0' && Number(timestamp) > 0);
  assert.ok(BigInt(await browser.call('eth_getTransactionCount', account.address, 'latest')) === BigInt(nonce) + 1n);
  return receipt;
}

async function send(state) {
  const receipt = await confirm(state, { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n });
  assert.deepEqual([receipt.status, receipt.type, receipt.effectiveGasPrice, receipt.gasUsed], ['0x1', '0x2', '0x0', '0x5208']);
  assert.equal(await state.browser.call('eth_getBalance', state.friend, 'latest'), '0xde0b6b3a7640000');
}

async function sendDearly(state) {
  const fees = { maxFeePerGas: ethers.parseUnits('2', 'gwei'), maxPriorityFeePerGas: ethers.parseUnits('1', 'gwei') };
  const receipt = await confirm({ ...state, nonce: state.nonce + 1 }, fees);
  assert.deepEqual([receipt.status, receipt.effectiveGasPrice], ['0x1', ethers.toQuantity(fees.maxPriorityFeePerGas)]);
}

async function simulate({ browser, friend }) {
  const nobody = ethers.Wallet.createRandom().address;
  // Code that answers 42, put where there is none: how wallets ask many balances at once where no such contract is.
  const code = '0x602a5f5260205ff3';
  const call = { from: nobody, to: friend, data: '0x', value: '0x1' };
  await assert.rejects(browser.call('eth_call', call, 'latest'), { code: -32000, message: /^insufficient funds/ });
  const overrides = { [nobody]: { balance: '0x1' }, [friend]: { code } };
  assert.equal(BigInt(await browser.call('eth_call', call, 'latest', overrides)), 42n);
  assert.equal(await browser.call('eth_getCode', friend, 'latest'), '0x');
}

async function warn({ browser, account, friend }) {
  const tooMuch = { from: account.address, to: friend, value: ethers.toQuantity(ethers.parseEther('20000')) };
  await assert.rejects(browser.call('eth_estimateGas', tooMuch), { code: -32000, message: /^insufficient funds/ });
  // A constructor that reverts without a reason.
  const broken = { from: account.address, data: '0x5f5ffd' };
  await assert.rejects(browser.call('eth_estimateGas', broken), { code: 3, message: /^execution reverted/, data: '0x' });
}

story('only the origins that the configuration names may call', async (network, t) => {
  const closed = await network.authority().start();
  await step(t, 'without rpc.cors neither a page nor an extension may', async () => {
    for (const origin of [EXTENSION, PAGE]) {
      assert.equal((await preflight(closed, origin)).origin, null, origin);
      const refused = await post(closed, origin, 'eth_chainId');
      assert.deepEqual([refused.status, refused.origin], [403, null], origin);
      assert.match(refused.body.error, new RegExp(`^origin "${origin}" is not allowed: name it \\(rpc\\.cors\\)`));
    }
    assert.equal(await closed.rpc('eth_chainId'), ethers.toQuantity(CHAIN_ID), 'programs that are no browsers may');
  });
  await step(t, 'with it those that it names may, and no others', async () => {
    await closed.stop();
    const named = await closed.configure({ 'rpc.cors': [EXTENSION, PAGE] }).start();
    for (const origin of [EXTENSION, PAGE]) {
      const allowed = await preflight(named, origin);
      assert.deepEqual([allowed.status, allowed.origin], [204, origin]);
      assert.match(allowed.headers, /\bcontent-type\b/i);
      const answer = await post(named, origin, 'eth_chainId');
      assert.deepEqual([answer.status, answer.origin, answer.body.result], [200, origin, ethers.toQuantity(CHAIN_ID)]);
    }
    assert.equal((await preflight(named, STRANGER)).origin, null);
    assert.equal((await post(named, STRANGER, 'eth_chainId')).status, 403);
  });
  await step(t, 'with "*" all may', async () => {
    await closed.stop();
    const open = await closed.configure({ 'rpc.cors': ['*'] }).start();
    for (const origin of [EXTENSION, PAGE, STRANGER]) {
      assert.equal((await preflight(open, origin)).origin, '*');
      const answer = await post(open, origin, 'eth_chainId');
      assert.deepEqual([answer.status, answer.origin], [200, '*']);
    }
  });
});

story('in Chromium an extension and a page are let in by their origins', async (network, t) => {
  const node = await network.authority().start();
  const site = createServer((_request, answer) => answer.end('<title>a page</title>')).listen(0, '127.0.0.1');
  await once(site, 'listening');
  t.after(() => site.close());
  const page = `http://127.0.0.1:${site.address().port}`;
  // What a browser does with the answer: the status where it may be read, or that it may not.
  const ask = async (url) => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] });
    return fetch(url, { method: 'POST', headers, body }).then((answer) => answer.status, () => 'kept from it');
  };
  await withExtension(join(network.folder, 'browser'), async (worker, open) => {
    assert.ok(worker.url().startsWith(`${EXTENSION}/`), worker.url());
    const tab = await open(page);
    const asks = async () => [await worker.evaluate(ask, node.url), await tab.evaluate(ask, node.url)];
    await step(t, 'neither is, unless it is named', async () => assert.deepEqual(await asks(), [403, 'kept from it']));
    for (const [cors, expected] of [[[EXTENSION], [200, 'kept from it']], [[EXTENSION, page], [200, 200]]]) {
      await step(t, `with ${cors.length} of them named`, async () => {
        await node.stop();
        await node.configure({ 'rpc.cors': cors }).start();
        assert.deepEqual(await asks(), expected);
      });
    }
  });
});
