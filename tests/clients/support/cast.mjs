// Foundry's cast: the binary of the npm package, or the one on the path where there is none for this machine.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Where one of Foundry's programs is. */
export function program(name) {
  const packaged = fileURLToPath(new URL(`../node_modules/@foundry-rs/${name}-linux-amd64/bin/${name}`, import.meta.url));
  return existsSync(packaged) ? packaged : name;
}

/** What Foundry's programs see: the node, and nothing of whoever runs the tests. */
export function foundryEnvironment(node) {
  return { PATH: process.env.PATH, HOME: process.env.HOME, ETH_RPC_URL: node.url, NO_COLOR: '1' };
}

/** Runs one of Foundry's programs against a node, in a folder, and answers what it printed. */
export async function foundry(name, node, args, options = {}) {
  const shared = { cwd: tmpdir(), env: foundryEnvironment(node), timeout: 30_000, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(program(name), args.map(String), { ...shared, ...options });
  return stdout.trim();
}

/** Runs `cast` against a node, and answers what it printed. */
export async function cast(node, ...args) {
  return foundry('cast', node, args);
}

/** As `cast`, where it answers JSON. */
export async function castJson(node, ...args) {
  return JSON.parse(await cast(node, ...args, '--json'));
}
