// The fenced blocks of a page of the book, run as a reader would run them, but against a node of the test.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { program } from './cast.mjs';
import { PYTHON } from './python.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/** What the pages say of where the node is. */
const DOCUMENTED = '127.0.0.1:8545';

/** The blocks of one language below the heading `heading` of `docs/src/PAGE`. There is at least one. */
export function snippets(page, heading, language) {
  const text = readFileSync(here(`../../../docs/src/${page}`), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  const blocks = [...(section ?? '').matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const found = blocks.filter(([, kind]) => kind === language).map(([, , code]) => code);
  if (found.length === 0) throw new Error(`${page} has no ${language} below "${heading}"`);
  return found;
}

/** A snippet that goes to `node`. */
export function located(node, code) {
  if (!code.includes(DOCUMENTED)) throw new Error(`the snippet does not go to ${DOCUMENTED}:\n${code}`);
  return code.replaceAll(DOCUMENTED, node.addresses.rpc);
}

/** The program that reads a language from standard input. Modules are found where the tests are. */
function interpreter(language) {
  // What is not found beside the packages is on the path already.
  const path = ['cast', 'forge'].map(program).filter(existsSync).map(dirname);
  const env = { ...process.env, NO_COLOR: '1', PATH: [...path, process.env.PATH].join(':') };
  const programs = {
    js: [process.execPath, ['--input-type=module']],
    python: [PYTHON, ['-']],
    sh: ['bash', ['-euo', 'pipefail']],
  };
  const [file, args] = programs[language];
  return { file, args, env };
}

/** Starts a snippet against `node`: `{ output(), ended, stop() }`; `ended` fails where the program does. */
export function start(node, language, code, cwd = here('..')) {
  const text = located(node, code);
  const { file, args, env } = interpreter(language);
  const child = spawn(file, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => (status === 0 || signal ? resolve(output) : reject(new Error(`${file}: ${status}\n${output}`))));
  });
  child.stdin.end(text);
  const stop = async () => {
    child.kill();
    await ended;
  };
  return { output: () => output, ended, stop };
}

/** Runs a snippet to its end. Answers what it printed. */
export async function runSnippet(...args) {
  return start(...args).ended;
}
