// Foundry's forge, in a project of its own with the tests' contracts and the tests' compiler.

import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { foundry } from './cast.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** What no other setting may change: forge downloads nothing, and compiles with the compiler of the npm package. */
const CONFIG = `[profile.default]
solc = ${JSON.stringify(here('solc'))}
offline = true
optimizer = true
`;

/** A project in `folder` with one contract and one script of it: runs `forge` there against a node. */
export function forgeProject(folder, contract, script) {
  for (const part of ['src', 'script']) mkdirSync(join(folder, part), { recursive: true });
  copyFileSync(here(`../contracts/${contract}.sol`), join(folder, 'src', `${contract}.sol`));
  copyFileSync(here(`../foundry/${script}.s.sol`), join(folder, 'script', `${script}.s.sol`));
  writeFileSync(join(folder, 'foundry.toml'), CONFIG);
  const options = { cwd: folder, timeout: 90_000 };
  return (node, command, ...args) => foundry('forge', node, [command, '--rpc-url', node.url, ...args], options);
}
