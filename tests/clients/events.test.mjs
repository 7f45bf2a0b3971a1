// What libraries subscribe to over WebSocket.

import assert from 'node:assert/strict';
import { ethers } from 'ethers';
import { createPublicClient, webSocket } from 'viem';
import { confirm, receipt, transfer, transfers, wallet } from './support/chain.mjs';
import { CHAIN_ID, story } from './support/network.mjs';
import { until } from './support/until.mjs';

/** A contract that logs topic 7 whenever it is called. */
const LOGGER = '0x6460075f5fa15f526005601bf3';
const SEVEN = ethers.zeroPadValue('0x07', 32);
const SOON = 20_000;

const socketUrl = (node) => node.url.replace('http', 'ws');

story('ethers hears of heads, logs and pending transactions over WebSocket', async (network) => {
  const node = await network.authority().start();
  const from = wallet(0);
  const created = await confirm(node, [await transfer(from, 0, { to: null, value: 0n, data: LOGGER, gasLimit: 200_000n })]);
  const socket = new ethers.WebSocketProvider(socketUrl(node), CHAIN_ID, { staticNetwork: true });
  const [heads, logs, pending] = [[], [], []];
  await socket.on('block', (height) => heads.push(height));
  await socket.on({ address: created.contractAddress, topics: [SEVEN] }, (log) => logs.push(log));
  await socket.on('pending', (hash) => pending.push(hash));
  await until('ethers is subscribed', SOON, async () => {
    const metrics = (await node.get('/metrics')).body;
    return /^callboard_rpc_requests_total\{method="eth_subscribe",outcome="ok"\} 3$/m.test(metrics);
  });

  const sent = [];
  const first = await node.height();
  for (let nonce = 1; nonce <= 3; nonce += 1) {
    const raw = await transfer(from, nonce, { to: created.contractAddress, value: 0n, gasLimit: 100_000n });
    sent.push(await node.rpc('eth_sendRawTransaction', raw));
    await receipt(node, sent.at(-1));
  }
  await until('ethers has heard of everything', SOON, () => logs.length === 3 && heads.length === 3 && pending.length === 3);
  assert.deepEqual(heads, [first + 1, first + 2, first + 3]);
  assert.deepEqual(pending, sent);
  assert.deepEqual(logs.map((log) => log.transactionHash), sent);
  assert.ok(logs.every((log) => log.removed === false));
  await socket.removeAllListeners();
  // Answers come in order: after this one nothing is under way any more.
  await socket.getNetwork().then(() => socket.send('net_version', []));
  await socket.destroy();
});

story('viem watches blocks over WebSocket, also after the node was restarted', async (network) => {
  const node = await network.authority().start();
  // viem tries only once: after a pause in which the node comes back.
  const transport = webSocket(socketUrl(node), { reconnect: { delay: 5_000 } });
  const client = createPublicClient({ transport });
  const seen = [];
  const unwatch = client.watchBlocks({ onBlock: (block) => seen.push(Number(block.number)), onError: () => {} });
  const subscribed = async () => /method="eth_subscribe",outcome="ok"\} 1$/m.test((await node.get('/metrics')).body);
  await until('viem is subscribed', SOON, subscribed);
  const raw = await transfers(0, 0, 4);
  await confirm(node, raw.slice(0, 1));
  await confirm(node, raw.slice(1, 2));
  await until('viem has both blocks', SOON, () => seen.length === 2);
  await node.stop();
  await node.start();
  await until('viem is subscribed again', SOON, subscribed);
  await confirm(node, raw.slice(2, 3));
  await confirm(node, raw.slice(3));
  await until('viem has all blocks', SOON, () => seen.length === 4);
  assert.deepEqual(seen, [1, 2, 3, 4]);
  unwatch();
  (await client.transport.getRpcClient()).close();
});
