// The page "Wallets and libraries" does what it says: its snippets run against the development chain that it speaks of.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import vm from 'node:vm';
import { ethers } from 'ethers';
import { key } from './support/chain.mjs';
import { forgeProject } from './support/forge.mjs';
import { hardhatRun } from './support/hardhat.mjs';
import { step, story } from './support/network.mjs';
import { located, runSnippet, snippets, start } from './support/snippets.mjs';
import { within, until } from './support/until.mjs';

const PAGE = 'clients.md';
const FRIEND = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const ETHER = 10n ** 18n;
/** Longest that a snippet may take, in milliseconds. */
const SOON = 60_000;

story('the snippets of the page about clients do what it says', async (network, t) => {
  const development = { 'genesis.chain_name': 'callboard-dev', 'genesis.chain_id': 1337, 'authority.empty_blocks': true };
  const node = await network.authority(development).start();
  for (const [heading, language] of [['ethers', 'js'], ['viem', 'js'], ['web3.py', 'python']]) {
    const [sending, following] = snippets(PAGE, heading, language);
    await step(t, `${heading} sends`, () => sends(node, language, sending));
    if (following) await step(t, `${heading} follows the chain across a restart`, () => follows(node, language, following));
  }
  const [sending, poor] = snippets(PAGE, 'cast', 'sh');
  await step(t, 'cast sends', async () => assert.match(await runSnippet(node, 'sh', sending), /^1337\n[^]*\n\d+\.0+$/m));
  await step(t, 'cast sends from an account without funds', async () => {
    assert.match(await runSnippet(node, 'sh', poor), /^status +1 \(success\)$/m);
  });
  await step(t, 'forge deploys and runs a script', async () => {
    const folder = join(network.folder, 'project');
    forgeProject(folder, 'Ledger', 'Note');
    const printed = await runSnippet(node, 'sh', snippets(PAGE, 'forge', 'sh')[0], folder);
    assert.match(printed, /^Deployed to: 0x[0-9a-fA-F]{40}$/m);
    assert.match(printed, /ONCHAIN EXECUTION COMPLETE & SUCCESSFUL/);
  });
  await step(t, 'Hardhat runs a script, for nothing where it is told so', () => useHardhat(network, node));
  await step(t, 'a page adds the network to a wallet, which the configuration lets in', () => addNetwork(node));
});

async function sends(node, language, code) {
  const balance = async () => BigInt(await node.rpc('eth_getBalance', FRIEND, 'latest'));
  const before = await balance();
  const printed = await within(SOON, 'the snippet ends', runSnippet(node, language, code));
  assert.match(printed, /^confirmed in block \d+$/m);
  assert.equal(await balance(), before + ETHER);
}

async function follows(node, language, code) {
  const program = start(node, language, code);
  try {
    const height = () => Number([...program.output().matchAll(/^block (\d+)$/gm)].at(-1)?.[1] ?? -1);
    await until('it prints a block', SOON, () => height() > 0);
    await node.stop();
    await node.start();
    const before = await node.height();
    await until('it prints a block after the restart', SOON, () => height() > before);
  } finally {
    await program.stop();
  }
}

/** As the page has it; from an account without funds; and from one that is not told to offer nothing. */
async function useHardhat(network, node) {
  const [config, script] = snippets(PAGE, 'Hardhat', 'js');
  const [account] = /0x[0-9a-f]{64}/.exec(config);
  const free = located(node, config);
  const runs = {
    documented: [free, script],
    poor: [free.replace(account, ethers.Wallet.createRandom().privateKey), script.replace("'0xde0b6b3a7640000'", "'0x0'")],
    paying: [free.replace(account, key(2)).replace('gasPrice: 0,', ''), script],
  };
  const offers = await Promise.all(Object.entries(runs).map(async ([name, run]) => {
    const printed = await hardhatRun(join(network.folder, name), ...run);
    const [, height] = /^confirmed in block (\d+)$/m.exec(printed) ?? assert.fail(printed);
    const receipts = await node.rpc('eth_getBlockReceipts', ethers.toQuantity(height));
    const sender = ethers.computeAddress(/0x[0-9a-f]{64}/.exec(run[0])[0]).toLowerCase();
    const { status, type, effectiveGasPrice } = receipts.find(({ from }) => from === sender);
    return [name, status, type, effectiveGasPrice];
  }));
  const expected = [['documented', '0x1', '0x0', '0x0'], ['poor', '0x1', '0x0', '0x0'], ['paying', '0x1', '0x2', '0x1']];
  assert.deepEqual(offers, expected);
}

/** With a wallet that does what EIP-3085 says: it asks the node, from its own origin, whether it is that chain. */
async function addNetwork(node) {
  const [origin] = /chrome-extension:\/\/\w+/.exec(snippets(PAGE, 'Browser wallets', 'toml')[0]);
  await node.stop();
  await node.configure({ 'rpc.cors': [origin] }).start();
  const added = [];
  const request = async ({ method, params: [{ chainId, rpcUrls, nativeCurrency }] }) => {
    assert.deepEqual([method, nativeCurrency.decimals], ['wallet_addEthereumChain', 18]);
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] });
    const answer = await fetch(rpcUrls[0], { method: 'POST', headers: { origin, 'content-type': 'application/json' }, body });
    assert.equal((await answer.json()).result, chainId);
    added.push(chainId);
    return null;
  };
  const [code] = snippets(PAGE, 'Browser wallets', 'js');
  const page = vm.createContext({ window: { ethereum: { request } } });
  await vm.runInContext(`(async () => { ${code.replaceAll('http://127.0.0.1:8545', node.url)} })()`, page);
  assert.deepEqual(added, ['0x539']);
}
