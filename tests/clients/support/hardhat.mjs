// Hardhat, in a project of its own.

import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MODULES = fileURLToPath(new URL('../node_modules', import.meta.url));
const HARDHAT = join(MODULES, 'hardhat', 'internal', 'cli', 'bootstrap.js');

/** Runs a script against the network `callboard` of a configuration, in a new `folder`. Answers what it printed. */
export async function hardhatRun(folder, config, script) {
  mkdirSync(folder);
  symlinkSync(MODULES, join(folder, 'node_modules'));
  writeFileSync(join(folder, 'hardhat.config.js'), config);
  writeFileSync(join(folder, 'script.js'), script);
  const env = { ...process.env, HOME: folder, NO_COLOR: '1', HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true' };
  const args = [HARDHAT, 'run', 'script.js', '--network', 'callboard'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env, timeout: 60_000 });
  return stdout;
}
