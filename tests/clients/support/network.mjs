// The nodes of one test: made in a folder of their own, shown where the test fails, ended in any case.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Node } from './node.mjs';

/** The chain of the tests. */
export const CHAIN_ID = 7_331;
const FREE_PORT = '127.0.0.1:0';

class Network {
  constructor(folder) {
    Object.assign(this, { folder, nodes: [] });
  }

  add(name, config, variables) {
    const node = new Node(name, join(this.folder, name), config, variables);
    this.nodes.push(node);
    return node;
  }

  /** The authority of a development chain: ten funded accounts, a block every 100 ms where there is something in it. */
  authority(values = {}) {
    const node = this.add('authority', {
      node: { name: 'authority', role: 'authority', dev: true, data_dir: 'data' },
      genesis: { chain_name: 'clients', chain_id: CHAIN_ID },
      authority: { block_interval_ms: 100 },
      peers: { listen: FREE_PORT },
      rpc: { listen: FREE_PORT },
    });
    return node.configure(values);
  }

  /** A node that follows; it starts with what its seeds give it. */
  follower(name, seeds, values = {}) {
    const node = this.add(name, {
      node: { name, role: 'follower', data_dir: 'data' },
      peers: { listen: FREE_PORT, seeds: seeds.map((seed) => seed.peerUrl) },
      rpc: { listen: FREE_PORT },
    });
    return node.configure(values);
  }

  /** The genesis of a running node as a file, for others to start from. */
  async genesisFile(node) {
    const file = join(this.folder, 'genesis.json');
    writeFileSync(file, JSON.stringify(await node.rpc('callboard_genesis')));
    return file;
  }

  /** No follower ever announced a block as its own, and each node that runs ends in order. */
  async end() {
    const running = this.nodes.filter((node) => node.running);
    for (const node of running) {
      const { role } = await node.status();
      if (role === 'follower') assert.equal(await node.routed('BroadcastBlock'), 0, `${node.name} broadcast a block`);
    }
    await Promise.all(running.map((node) => node.stop()));
  }

  show() {
    for (const node of this.nodes) console.error(`===== ${node.name}: ${node.folder}\n${node.log()}`);
  }
}

/** A step of a story: where it fails, the story ends there. */
export async function step(t, name, body) {
  let failure;
  await t.test(name, async () => {
    try {
      await body();
    } catch (error) {
      failure = error;
      throw error;
    }
  });
  if (failure) throw failure;
}

/** A test with nodes of its own: `body(network, t)`. */
export function story(name, body) {
  test(name, async (t) => {
    const network = new Network(mkdtempSync(join(tmpdir(), 'callboard-clients-')));
    try {
      await body(network, t);
      await network.end();
      rmSync(network.folder, { recursive: true });
    } catch (error) {
      network.show();
      throw error;
    } finally {
      await Promise.all(network.nodes.filter((node) => node.running).map((node) => node.kill()));
    }
  });
}
