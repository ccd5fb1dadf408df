// `baton lab` with two phantom nodes: rows, tokens, the picture, and nothing left behind.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { baton, freePort, Node, sleep, until } from './harness.mjs';

const folder = mkdtempSync(join(tmpdir(), 'baton-lab-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
// Where labs put their folders: other labs of this machine are none of our business.
const temporary = join(folder, 'tmp');
mkdirSync(temporary);

// Slow devices with a small model: whatever this machine does besides, it keeps up.
const scenario = join(folder, 'two.toml');
writeFileSync(scenario, `
title = "two"
model = "layers=4,hidden=256,heads=4,kv_heads=2,ffn=768,vocab=4096,context=4096:F16"
entry = "b"
[cluster]
chunk_tokens = 256
[[cluster.device]]
is = "phone"
name = "a"
[[cluster.device]]
is = "laptop"
name = "b"
[[cluster.link]]
is = "1gbe"
[[row]]
name = "a alone"
nodes = ["a"]
prompt = 1000
answer = 16
published_ttft_s = 1.0
[[row]]
name = "b alone"
nodes = ["b"]
prompt = 1000
answer = 16
[[row]]
name = "handed over"
prefill_on = ["a"]
decode_on = ["b"]
prompt = 1000
answer = 16
[[row]]
name = "two stages"
decode_on = ["a", "b"]
split = [1, 3]
prompt = 1000
answer = 16
[[row]]
name = "computes for itself, too"
prefill_on = ["a", "b"]
decode_on = ["b"]
prompt = 1000
answer = 16
[[row]]
name = "three at once"
nodes = ["b"]
prompt = 1000
answer = 16
concurrency = 3
[[ratio]]
name = "gain"
slow = "b alone"
fast = "a alone"
`);

// What an interrupted lab might leave.
const leftovers = () => {
  const links = spawnSync('ip', ['-o', 'link'], { encoding: 'utf8' }).stdout ?? '';
  const processes = spawnSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' }).stdout;
  return {
    links: links.split('\n').filter((line) => /: lab\d*[@:]/.test(line)),
    nodes: processes.split('\n').filter((line) => line.includes(temporary)),
    folders: readdirSync(temporary),
  };
};
const nothing = { links: [], nodes: [], folders: [] };
const environment = { ...process.env, BATON_HOME: join(folder, 'home'), TMPDIR: temporary };

for (const [how, flags] of [['in networks of their own', []], ['through relays', ['--loopback']]]) {
  test(`two phantom nodes ${how}`, { timeout: 240000 }, (t) => {
    const svg = join(folder, 'picture.svg');
    const ran = spawnSync(baton, ['lab', scenario, '--speed', '1', '--json', '--svg', svg, ...flags],
      { encoding: 'utf8', env: environment });
    assert.equal(ran.status, 0, ran.stderr);
    const result = JSON.parse(ran.stdout);
    assert.equal(result.tokens_agree, true);
    for (const { speed } of result.runs) assert.equal(speed, 1);
    const row = (name) => result.rows.find((each) => each.name === name);
    for (const name of ['a alone', 'b alone', 'handed over', 'two stages', 'computes for itself, too', 'three at once']) {
      for (const what of ['TTFT', 'decode', 'total', 'decode rate']) {
        const { predicted, measured } = row(`${name}, ${what}`);
        assert.ok(predicted > 0 && measured > 0, `${name}, ${what}: ${predicted}, ${measured}`);
      }
      t.diagnostic(JSON.stringify(row(`${name}, total`)));
    }
    // A phantom takes its time; how much more this machine takes, and how its links do, is its own affair.
    for (const name of ['a alone', 'b alone', 'three at once'])
      assert.ok(row(`${name}, total`).measured > 0.9 * row(`${name}, total`).predicted, name);
    assert.equal(row('a alone, TTFT').published, 1);
    assert.equal(row('b alone, TTFT').published, null);
    assert.ok(row('gain').measured > 0);
    const handed = result.runs.find((each) => each.name === 'handed over');
    assert.equal(handed.kv_bytes, 1000 * 4 * 2 * 128 * 2, 'K and V of all layers went over the link');
    const picture = readFileSync(svg, 'utf8');
    for (const what of ['class="prefill"', 'class="decode"', 'class="kv"', 'a to b'])
      assert.ok(picture.includes(what), what);
    assert.deepEqual(leftovers(), nothing);
  });
}

test('a clock that nobody chose suits this machine', { timeout: 240000 }, () => {
  const ran = spawnSync(baton, ['lab', scenario, '--row', 'b alone', '--json'], { encoding: 'utf8', env: environment });
  assert.equal(ran.status, 0, ran.stderr);
  assert.match(ran.stderr, /this machine carries about [\d.]+ Gb\/s between two nodes; time runs/);
  for (const { speed } of JSON.parse(ran.stdout).runs) assert.ok(speed > 0 && speed <= 1, `speed ${speed}`);
});

test('an interrupt ends all of it', { timeout: 120000 }, async () => {
  // While nodes start, and in the middle of a request that takes minutes.
  const long = join(folder, 'long.toml');
  writeFileSync(long, readFileSync(scenario, 'utf8').replaceAll('prompt = 1000\nanswer = 16', 'prompt = 3500\nanswer = 500'));
  for (const [signal, file, row] of [['SIGINT', scenario, 'a alone'], ['SIGINT', long, 'b alone'], ['SIGKILL', scenario, 'a alone']]) {
    const slow = file === long ? ['--speed', '0.02'] : [];
    const lab = spawn(baton, ['lab', file, '--row', row, '--json', ...slow],
      { stdio: ['ignore', 'ignore', 'pipe'], env: environment });
    let told = '';
    lab.stderr.on('data', (text) => { told += text; });
    const ended = new Promise((resolve) => lab.on('exit', (code) => resolve(code)));
    await until('the nodes to start', () => leftovers().nodes.length >= 2);
    if (file === long) await until('the row to begin', () => told.includes(row), 40000);
    await sleep(300);
    lab.kill(signal);
    const code = await ended;
    if (signal === 'SIGINT') assert.equal(code, 130);
    await until('the nodes to end', () => leftovers().nodes.length === 0);
    const { links, folders } = leftovers();
    assert.deepEqual(links, []);
    if (signal === 'SIGINT') assert.deepEqual(folders, []);
    for (const name of folders) rmSync(join(temporary, name), { recursive: true });
  }
});

test('what a device more would change in a running cluster', { timeout: 60000 }, async () => {
  const model = 'llama-3.1-8b:F16';
  const node = new Node({ name: 'mine', home: join(folder, 'mine'),
    api: `127.0.0.1:${await freePort()}`, listen: `127.0.0.1:${await freePort()}`,
    args: ['--quiet', '--no-discovery', '--phantom', 'm4-max', '--model-shape', model] });
  const plan = (...words) => spawnSync(baton, ['plan', model, '--prompt', '8192', '--answer', '32', ...words],
    { encoding: 'utf8', env: node.environment() });
  const nobody = plan('--add', 'rtx-4090:10gbe');
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /no baton answers at .*start one with/);
  await node.start();
  try {
    const alone = JSON.parse(plan('--json').stdout).chosen;
    const answer = JSON.parse(plan('--add', 'rtx-4090:10gbe,raspberry-pi-5:1gbe', '--json').stdout);
    assert.deepEqual(answer.chosen, alone, 'the present plan is what it was');
    const [gpu, pi] = answer.with;
    assert.equal(gpu.added, 'rtx-4090:10gbe');
    assert.ok(gpu.chosen.ttft_ms < alone.ttft_ms / 4);
    assert.ok(gpu.chosen.stages.some((stage) => stage.node === 'rtx-4090 (added)'));
    assert.equal(pi.chosen.total_ms, alone.total_ms);
    const shown = plan('--add', 'rtx-4090:10gbe,raspberry-pi-5:1gbe');
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /with rtx-4090:10gbe: [\d.]+ times as fast .*TTFT .*throughput/);
    assert.match(shown.stdout, /with raspberry-pi-5:1gbe: 1.00 times as fast.*the plan leaves it out/);
    for (const [added, named] of [['rtx-9999', /'rtx-9999'/], ['phone:string', /'string'/]]) {
      const refused = plan('--add', added);
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, named);
    }
    // What does not fit here may fit then.
    const big = ['plan', model, '--context', '131072', '--concurrency', '6', '--json'];
    const too_big = spawnSync(baton, [...big, '--add', 'm3-ultra'], { encoding: 'utf8', env: node.environment() });
    const { chosen, why, with: [larger] } = JSON.parse(too_big.stdout);
    assert.equal(chosen, null);
    assert.match(why, /needs .* GB/);
    assert.ok(larger.chosen.total_ms > 0);
  } finally {
    await node.kill();
  }
});

test('what is wrong with a scenario is named', () => {
  writeFileSync(join(folder, 'bad.toml'), readFileSync(scenario, 'utf8').replace('"phone"', '"fone"'));
  const ran = spawnSync(baton, ['lab', join(folder, 'bad.toml')], { encoding: 'utf8', env: environment });
  assert.equal(ran.status, 1);
  assert.match(ran.stderr, /'fone'/);
});

test('a fleet is simulated, the same for the same seed', () => {
  const simulate = (seed) => JSON.parse(execFileSync(baton, ['lab', scenario, '--row', 'b alone', '--simulate',
    '--replicas', '50', '--rate', '20', '--requests', '2000', '--seed', seed, '--json'],
  { encoding: 'utf8', env: environment }));
  const [first] = simulate('1').simulated;
  assert.equal(first.completed, 2000);
  assert.ok(first.ttft_s.p99 >= first.ttft_s.p50 && first.ttft_s.p50 > 0);
  assert.deepEqual(simulate('1').simulated, [first]);
  assert.notDeepEqual(simulate('2').simulated, [first]);
});
