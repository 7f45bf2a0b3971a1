// Foundry's cast: the binary of the npm package, or the one on the path where there is none for this machine.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PACKAGED = fileURLToPath(new URL('../node_modules/@foundry-rs/cast-linux-amd64/bin/cast', import.meta.url));
const CAST = existsSync(PACKAGED) ? PACKAGED : 'cast';

/** Runs `cast` against a node, and answers what it printed. */
export async function cast(node, ...args) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ETH_RPC_URL: node.url, NO_COLOR: '1' };
  const options = { cwd: tmpdir(), env, timeout: 30_000, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(CAST, args.map(String), options);
  return stdout.trim();
}

/** As `cast`, where it answers JSON. */
export async function castJson(node, ...args) {
  return JSON.parse(await cast(node, ...args, '--json'));
}
