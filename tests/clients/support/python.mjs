// A Python process that does what it is told: one line in, one line out. Its programs stand beside the tests.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { within } from './until.mjs';

/** The interpreter with the packages of requirements.txt, as `run` makes it. */
export const PYTHON = process.env.CALLBOARD_TEST_PYTHON ?? fileURLToPath(new URL('../.venv/bin/python', import.meta.url));
/** A step takes no longer, in milliseconds. */
const PATIENCE = 60_000;

export class Python {
  /** Starts `tests/clients/FILE` with arguments. */
  constructor(file, ...args) {
    if (!existsSync(PYTHON)) throw new Error(`no Python at ${PYTHON}: tests/clients/run makes it; it needs python3`);
    const program = fileURLToPath(new URL(`../${file}`, import.meta.url));
    this.process = spawn(PYTHON, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.ended = new Promise((resolve, reject) => {
      this.process.on('error', reject);
      this.process.on('close', resolve);
    });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  /** Runs a step, and answers what it answers; what it raises is thrown. */
  async do(step, ...args) {
    this.process.stdin.write(`${JSON.stringify({ step, args })}\n`);
    const { value, done } = await within(PATIENCE, `${step} in Python`, this.lines.next());
    if (done) throw new Error(`Python ended in ${step}`);
    const { error, result } = JSON.parse(value);
    if (error) throw new Error(error);
    return result;
  }

  async end() {
    this.process.kill();
    await this.ended;
  }
}
