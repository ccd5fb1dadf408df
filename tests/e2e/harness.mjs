// Real processes of the real program: on loopback, or each in a network namespace of its own where this
// user may make some.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
export const baton = process.env.BATON ?? join(here, '../../build/release/baton');

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, condition, most_ms = 15000) {
  const deadline = Date.now() + most_ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting for ${what}`);
    await sleep(20);
  }
}

export function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const ip = (...words) => execFileSync('ip', words, { stdio: 'pipe' });

export function namespacesAllowed() {
  if (process.getuid?.() !== 0) return false;
  const name = `baton-probe-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', name], { stdio: 'ignore' }).status === 0;
  if (made) spawnSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
  return made;
}

// Hosts on one bridge: 10.77.N.1 and so on, this process at 10.77.N.254.
export class Network {
  constructor(hosts) {
    this.tag = `bt${process.pid % 10000}`;
    this.third = process.pid % 250;
    this.bridge = `${this.tag}br`;
    ip('link', 'add', this.bridge, 'type', 'bridge');
    ip('addr', 'add', `10.77.${this.third}.254/24`, 'dev', this.bridge);
    ip('link', 'set', this.bridge, 'up');
    this.spaces = [];
    for (let i = 1; i <= hosts; ++i) this.addHost(i);
  }
  addHost(i) {
    const space = `${this.tag}n${i}`;
    const [outer, inner] = [`${this.tag}o${i}`, `${this.tag}i${i}`];
    ip('netns', 'add', space);
    ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner);
    ip('link', 'set', inner, 'netns', space);
    ip('link', 'set', outer, 'master', this.bridge, 'up');
    ip('-n', space, 'addr', 'add', `${this.address(i)}/24`, 'dev', inner);
    ip('-n', space, 'link', 'set', inner, 'up', 'multicast', 'on');
    ip('-n', space, 'link', 'set', 'lo', 'up');
    ip('-n', space, 'route', 'add', 'default', 'via', `10.77.${this.third}.254`);
    this.spaces.push(space);
  }
  // Every host sends and receives at no more than this, or than its own of a list (0: as it can), but for a little at
  // once: two milliseconds' worth, or a whole segment of the kernel's, since to cut these up takes a processor's time.
  shape(mbit) {
    for (const [i, space] of this.spaces.entries()) {
      const most = Array.isArray(mbit) ? mbit[i] : mbit;
      if (!most) continue;
      const burst_kb = Math.max(80, Math.round(most / 8 * 2));
      for (const port of [['-n', space, 'qdisc', 'replace', 'dev', `${this.tag}i${i + 1}`],
        ['qdisc', 'replace', 'dev', `${this.tag}o${i + 1}`]])
        execFileSync('tc', [...port, 'root', 'tbf', 'rate', `${most}mbit`, 'burst', `${burst_kb}kb`, 'latency', '50ms'],
          { stdio: 'pipe' });
    }
  }
  address(i) {
    return `10.77.${this.third}.${i}`;
  }
  // A namespace lives on, and its link with it, as long as a connection in it ends: the links go first.
  close() {
    for (const [i, space] of this.spaces.entries()) {
      spawnSync('ip', ['link', 'delete', `${this.tag}o${i + 1}`]);
      spawnSync('ip', ['netns', 'delete', space]);
    }
    spawnSync('ip', ['link', 'delete', this.bridge]);
  }
}

export class Node {
  // `options`: name, home, api, listen, args, space (a network namespace), processor (to pin to: one, or
  // some like '0,1'), variables (of the environment).
  constructor(options) {
    Object.assign(this, { args: [], models: [] }, options);
    mkdirSync(this.home, { recursive: true });
  }
  command(...words) {
    const prefix = this.space ? ['ip', 'netns', 'exec', this.space] : [];
    if (this.processor !== undefined) prefix.push('taskset', '-c', `${this.processor}`);
    return [...prefix, baton, ...words];
  }
  environment() {
    return { ...process.env, BATON_HOME: this.home, BATON_API: this.api, BATON_MODELS: '', ...this.variables };
  }
  // One verb of the command line, as this node's owner would type it.
  run(...words) {
    const [program, ...rest] = this.command(...words);
    return execFileSync(program, rest, { env: this.environment(), encoding: 'utf8', stdio: 'pipe' });
  }
  async start() {
    const files = this.models.flatMap((path) => ['-m', path]);
    const [program, ...rest] = this.command('serve', '--name', this.name, '--api', this.api,
      '--listen', this.listen, ...files, ...this.args);
    this.log = '';
    this.process = spawn(program, rest, { env: this.environment(), stdio: ['ignore', 'ignore', 'pipe'] });
    this.process.stderr.on('data', (text) => { this.log += text; });
    this.exited = new Promise((resolve) => this.process.on('exit', (code) => resolve(code)));
    await until(`node ${this.name}`, async () => {
      if (this.process.exitCode !== null) throw new Error(`node ${this.name} ended:\n${this.log}`);
      return (await this.get('/health').catch(() => null))?.status === 'ok';
    }, 60000);
    return this;
  }
  measured() {
    return until(`node ${this.name} to measure its device`, async () =>
      (await this.get('/api/cluster')).nodes.some((each) => each.self && each.device.measured), 60000);
  }
  // `ip netns exec` and `taskset` become the program itself, so the signal reaches it.
  async kill(signal = 'SIGKILL') {
    if (!this.process || this.process.exitCode !== null) return;
    this.process.kill(signal);
    await this.exited;
  }
  async get(path) {
    const response = await fetch(`http://${this.api}${path}`);
    return response.json();
  }
  async post(path, body) {
    const response = await fetch(`http://${this.api}${path}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${path}: ${answer.error?.message}`);
    return answer;
  }
  place(model, told) {
    return this.post('/api/place', { model, ...told });
  }
  // Greedy token texts, as bytes in hex, of a prompt of token ids.
  async tokens(model, prompt, max_tokens, more = {}) {
    const answer = await this.post('/v1/completions', {
      model, prompt, max_tokens, temperature: 0, ignore_eos: true, logprobs: 1, ...more });
    return { tokens: answer.choices[0].logprobs.tokens, logprobs: answer.choices[0].logprobs.token_logprobs,
      timings: answer.timings, text: answer.choices[0].text };
  }
}

// `count` paired nodes that see each other. `devices` may say of each: threads, processor, variables, and
// a profile measured before.
export class Cluster {
  static async start(count, { models = [], args = [], isolated = namespacesAllowed(), pin = false, mbit,
    devices = [] } = {}) {
    const cluster = new Cluster();
    cluster.folder = mkdtempSync(join(tmpdir(), 'baton-e2e-'));
    cluster.network = isolated ? new Network(count) : null;
    if (mbit) cluster.network.shape(mbit);
    cluster.nodes = [];
    try {
      for (let i = 0; i < count; ++i) await cluster.add(i, { models, args, pin, device: devices[i] });
      await cluster.found(count);
      cluster.found_ms = Date.now() - cluster.started_at;
      await cluster.linked(count);
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }
  async add(i, { models, args, pin, device = {} }) {
    const host = this.network ? this.network.address(i + 1) : '127.0.0.1';
    const port = async (fixed) => (this.network ? fixed : freePort());
    const node = new Node({
      name: `n${i}`, home: join(this.folder, `n${i}`), models,
      api: `${host}:${await port(7411)}`, listen: `${host}:${await port(7412)}`,
      space: this.network?.spaces[i], processor: device.processor ?? (pin ? i % 2 : undefined),
      variables: device.variables, args: ['--quiet', '--threads', `${device.threads ?? 1}`, ...args] });
    this.nodes.push(node);
    const profile = device.profile ?? (i > 0 ? join(this.nodes[0].home, 'profile.json') : '');
    if (existsSync(profile)) copyFileSync(profile, join(node.home, 'profile.json'));
    if (i > 0) {
      const { code } = await this.nodes[0].post('/api/invite', {});
      node.run('join', code, '--peer', this.nodes[0].listen);
    }
    this.started_at = Date.now();
    await node.start();
    if (i === 0) await node.measured();
    return node;
  }
  // Waits until every node has a live link to every other one.
  async found(count) {
    await until('nodes to find each other', async () => {
      for (const node of this.nodes) {
        const { nodes } = await node.get('/api/cluster');
        if (nodes.filter((each) => each.live).length < count) return false;
      }
      return true;
    }, 20000);
  }
  // Waits until every pair of nodes has measured its links.
  async linked(count = this.nodes.length) {
    await until('links', async () => {
      for (const node of this.nodes) {
        const { links } = await node.get('/api/cluster');
        if (links.length < count * (count - 1)) return false;
      }
      return true;
    }, 20000);
  }
  async gone(model) {
    await until('the instance to end', async () => {
      for (const node of this.nodes) {
        const { instances } = await node.get('/api/cluster');
        if (instances.some((each) => each.model === model)) return false;
      }
      return true;
    });
  }
  async stop(model) {
    await this.nodes[0].post('/api/stop', { model });
    await this.gone(model);
  }
  // Every node knows the instance.
  async known(model) {
    await until('the instance to be known', async () => {
      for (const node of this.nodes) {
        const { instances } = await node.get('/api/cluster');
        if (!instances.some((each) => each.model === model && each.state === 'ready')) return false;
      }
      return true;
    });
  }
  async close() {
    for (const node of this.nodes ?? []) await node.kill();
    this.network?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// A small generator: the same prompts in every run.
export function randomPrompts(count, vocabulary, longest, seed = 1) {
  let state = seed;
  const next = () => (state = (state * 1103515245 + 12345) % 2147483648);
  return Array.from({ length: count }, () => Array.from({ length: 1 + (next() % longest) },
    () => 300 + (next() % (vocabulary - 300))));
}

export function synth(folder, name, shape, type) {
  const path = join(folder, `${name}.gguf`);
  execFileSync(baton, ['synth', '--shape', shape, '--type', type, '-o', path], { stdio: 'pipe' });
  return path;
}
