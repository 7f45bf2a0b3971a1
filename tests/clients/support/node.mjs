// A node: a process of the binary, its folder, its configuration, its log, and what it answers.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until, within } from './until.mjs';

const TARGET = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL('../../../target', import.meta.url));
/** The binary under test. */
export const BINARY = process.env.CALLBOARD_BIN ?? join(TARGET, 'release', 'callboard');

/** A node that stops in order does so within this time, in milliseconds. */
const STOP_WITHIN = 10_000;
/** A node answers within this time of its start, in milliseconds. */
const START_WITHIN = 30_000;
/** Lines of log that a failed test shows of each node. */
const SHOWN_LINES = 80;

/** An answer of JSON-RPC that is an error. */
export class RpcError extends Error {
  constructor(method, error) {
    super(`${method}: ${error.code} ${error.message}`);
    Object.assign(this, { code: error.code, data: error.data, text: error.message });
  }
}

/** Without the settings of whoever runs the tests. */
function environment(extra) {
  const own = Object.entries(process.env).filter(([name]) => !/^(CALLBOARD_|NODE_URL|RUST_LOG)/.test(name));
  return { ...Object.fromEntries(own), ...extra };
}

function toml(config) {
  const section = ([name, values]) => {
    const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
    return [`[${name}]`, ...lines].join('\n');
  };
  return `${Object.entries(config).map(section).join('\n\n')}\n`;
}

export class Node {
  /** `config` is the configuration by section; relative paths start at `folder`. */
  constructor(name, folder, config, variables = {}) {
    mkdirSync(folder, { recursive: true });
    Object.assign(this, { name, folder, config, variables, lines: [], starts: 0 });
  }

  get dataDir() {
    return join(this.folder, this.config.node.data_dir);
  }

  get database() {
    return join(this.dataDir, 'chain.redb');
  }

  get running() {
    return this.process !== undefined;
  }

  get url() {
    return `http://${this.addresses.rpc}`;
  }

  get peerUrl() {
    return `http://${this.addresses.peers}`;
  }

  /** Changes values of the configuration for the next start: `{ 'peers.seeds': […] }`. */
  configure(values) {
    for (const [key, value] of Object.entries(values)) {
      const dot = key.lastIndexOf('.');
      const section = (this.config[key.slice(0, dot)] ??= {});
      if (value === undefined) delete section[key.slice(dot + 1)];
      else section[key.slice(dot + 1)] = value;
    }
    return this;
  }

  /** Runs a command of the binary to its end: `{ code, stdout, stderr }`. */
  async command(...args) {
    this.writeConfig();
    const child = spawn(BINARY, args, { cwd: this.folder, env: environment(this.variables) });
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) child[stream].on('data', (data) => (output[stream] += data));
    const code = await within(START_WITHIN, `callboard ${args.join(' ')}`, new Promise((r) => child.on('close', r)));
    return { code, ...output };
  }

  writeConfig() {
    writeFileSync(join(this.folder, 'node.toml'), toml(this.config));
  }

  /** Starts the process, and waits until both of its listeners are up. */
  async start() {
    this.spawn();
    await this.listening();
    return this;
  }

  /** Starts the process. */
  spawn() {
    if (this.running) throw new Error(`${this.name} runs already`);
    this.writeConfig();
    rmSync(join(this.dataDir, 'addresses.json'), { force: true });
    this.starts += 1;
    this.lines.push(`--- start ${this.starts}`);
    const child = spawn(BINARY, ['node', '--config', 'node.toml', '--progress', 'plain'], {
      cwd: this.folder,
      env: environment(this.variables),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => this.keep(data));
    this.process = child;
    this.exited = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        this.lines.push(`--- exit ${signal ?? code}`);
        this.process = undefined;
        resolve({ code, signal });
      });
    });
  }

  keep(data) {
    this.lines.push(...data.toString().split('\n').filter((line) => line !== ''));
    if (this.lines.length > 5_000) this.lines.splice(0, 1_000);
  }

  async listening() {
    const file = join(this.dataDir, 'addresses.json');
    this.addresses = await until(`${this.name} listens`, START_WITHIN, () => {
      if (!this.running) throw Object.assign(new Error(`${this.name} ended:\n${this.log(10)}`), { fatal: true });
      return existsSync(file) && JSON.parse(readFileSync(file, 'utf8'));
    });
    // The next start is found where this one was.
    this.configure({ 'rpc.listen': this.addresses.rpc, 'peers.listen': this.addresses.peers });
  }

  /** Ends it in order, and checks that it does. */
  async stop() {
    this.process.kill('SIGTERM');
    const { code, signal } = await within(STOP_WITHIN, `${this.name} stops on SIGTERM`, this.exited);
    if (code !== 0) throw new Error(`${this.name} stopped with ${signal ?? code}, not 0:\n${this.log(10)}`);
  }

  /** Ends it at once. */
  async kill() {
    this.process?.kill('SIGKILL');
    await this.exited;
  }

  async post(path, body) {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(this.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
  }

  async get(path) {
    const answer = await fetch(this.url + path);
    const text = await answer.text();
    const json = answer.headers.get('content-type')?.includes('json');
    return { status: answer.status, body: json ? JSON.parse(text) : text };
  }

  /** The result of a JSON-RPC call; an error is thrown as `RpcError`. */
  async rpc(method, ...params) {
    const { body } = await this.post('/', { jsonrpc: '2.0', id: 1, method, params });
    if (body.error) throw new RpcError(method, body.error);
    return body.result;
  }

  /** The results of many calls of one method, in batches. */
  async rpcs(method, list) {
    const results = [];
    for (let from = 0; from < list.length; from += 100) {
      const calls = list.slice(from, from + 100);
      const batch = calls.map((params, id) => ({ jsonrpc: '2.0', id, method, params }));
      const { body } = await this.post('/', batch);
      body.sort((a, b) => a.id - b.id);
      for (const answer of body) {
        if (answer.error) throw new RpcError(method, answer.error);
        results.push(answer.result);
      }
    }
    return results;
  }

  async head() {
    return (await this.get('/rpc/head')).body;
  }

  async height() {
    return (await this.head()).height;
  }

  async status() {
    return this.rpc('callboard_syncStatus');
  }

  async reaches(height, milliseconds = 60_000) {
    return until(`${this.name} reaches ${height}`, milliseconds, async () => {
      const head = await this.head();
      return head.height >= height && head;
    });
  }

  async isPhase(phase, milliseconds = 60_000) {
    return until(`${this.name} is ${phase}`, milliseconds, async () => {
      const status = await this.status();
      if (status.phase !== phase) throw new Error(`it is ${status.phase}`);
      return status;
    });
  }

  /** How often `route` was taken, from any origin. */
  async routed(route) {
    const { counts } = await this.rpc('callboard_routes');
    return counts.filter((entry) => entry.route === route).reduce((sum, entry) => sum + entry.count, 0);
  }

  log(lines = SHOWN_LINES) {
    return this.lines.slice(-lines).join('\n');
  }
}
