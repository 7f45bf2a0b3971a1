// Compiles the contracts of this folder with solc.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const FOLDER = fileURLToPath(new URL('../contracts/', import.meta.url));

/** `{ abi, bytecode }` of the contract in `contracts/NAME.sol`. */
export function compile(name) {
  const solc = require('solc');
  const input = {
    language: 'Solidity',
    sources: { [`${name}.sol`]: { content: readFileSync(`${FOLDER}${name}.sol`, 'utf8') } },
    settings: { optimizer: { enabled: true }, outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } } },
  };
  const find = (path) => ({ contents: readFileSync(require.resolve(path), 'utf8') });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: find }));
  const errors = (output.errors ?? []).filter((error) => error.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join('\n'));
  const contract = output.contracts[`${name}.sol`][name];
  return { abi: contract.abi, bytecode: `0x${contract.evm.bytecode.object}` };
}
