// bench/compare against a llama-bench that only says so: what it asks of both programs, what it makes of
// their answers, and what it refuses.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { baton, synth } from './harness.mjs';

const compare = join(dirname(fileURLToPath(import.meta.url)), '../../bench/compare');
const folder = mkdtempSync(join(tmpdir(), 'baton-compare-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const shape = { layers: 3, hidden: 128, heads: 4, kv_heads: 2, head_dim: 32, ffn: 256, vocab: 512 };
const asText = Object.entries(shape).map(([key, value]) => `${key}=${value}`).join();
const model = synth(folder, 'tiny-Q4_0', asText, 'Q4_0');

// Decodes 100 tokens in a second, prefills 1000; twice that where its weights are repacked, half without
// flash attention. Its first sample is a tenth as fast. It keeps a list of what it was called with, and cannot read BF16.
function fakePeer(name, help) {
  const path = join(folder, name);
  const calls = join(folder, `${name}.calls`);
  writeFileSync(calls, '');
  writeFileSync(path, `#!/usr/bin/env node
const args = process.argv.slice(2);
if (args[0] === '--help') {
  console.log(${JSON.stringify(help)});
  process.exit(0);
}
require('fs').appendFileSync(${JSON.stringify(calls)}, args.join(' ') + '\\n');
const value = (flag) => args[args.indexOf(flag) + 1];
if (value('-m').includes('BF16')) {
  console.error('it has a type that I do not know');
  process.exit(1);
}
const both = args.includes('-gp') ? value('-gp').split(',') : [value('-p'), value('-n')];
const rate = (both[1] > 0 ? 100 : 1000) * (value('-rtr') === '1' ? 2 : 1) *
  (['0', 'off'].includes(value('-fa')) ? 0.5 : 1);
const ns = 1e9 * (both[1] > 0 ? both[1] : both[0]) / rate;
const samples_ns = Array(Number(value('-r'))).fill(10 * ns);
samples_ns[samples_ns.length - 1] = ns;
console.log('[\\nWARNING: of no interest');
console.log(JSON.stringify([{ build_commit: 'abc', gpu_info: '', samples_ns }], null, 1).slice(2));
`, { mode: 0o755 });
  return { path, calls: () => readFileSync(calls, 'utf8').trim().split('\n') };
}

const common = `  -m, --model <filename>   (default: x)
  -p, --n-prompt <n>       (default: 512)
  -n, --n-gen <n>          (default: 128)
  -r, --repetitions <n>    (default: 5)
`;
const ikHelp = `${common}  -gp <pp,tg>    (default: )
  -fa, --flash-attn <0|1>    (default: 1)
  -rtr, --run-time-repack <0|1>    (default: 0)
  -thp, --transparent-huge-pages <0|1>    (default: 0)`;
const mainHelp = `${common}  -d, --n-depth <n>     (default: 0)
  -fa, --flash-attn <on|off|auto>    (default: auto)`;

function run(...args) {
  const json = join(folder, 'result.json');
  const { status, stdout, stderr } = spawnSync(
    compare, [...args, '--json', json, '--baton', baton], { encoding: 'utf8' });
  return { status, stdout, stderr, result: () => JSON.parse(readFileSync(json, 'utf8')) };
}

test('turns, the best settings, the last sample, and the ratios of neighbours', () => {
  const peer = fakePeer('ik', ikHelp);
  const { status, stdout, stderr, result } = run(peer.path, model, '--threads', '1', '--prefill', '32,2048',
    '--decode-depth', '0,1500', '--decode-tokens', '4', '--runs', '2');
  assert.equal(status, 0, stderr);
  const { rows } = result();
  assert.deepEqual(rows.map((row) => row.test),
    ['prefill 32', 'prefill 2048', 'decode at 0', 'decode at 1500']);
  for (const row of rows) {
    const expected = row.test.startsWith('prefill') ? 2000 : 200;
    assert.deepEqual(row.peer_tokens_per_s.map(Math.round), [expected, expected], row.test);
    assert.equal(row.baton_tokens_per_s.length, 2);
    row.ratios.forEach((ratio, i) =>
      assert.equal(ratio, row.baton_tokens_per_s[i] / row.peer_tokens_per_s[i]));
    assert.equal(row.peer_settings, '-fa 1 -rtr 1');
    // Asked of the first row of each phase.
    const plain = { 'prefill 32': 1000, 'decode at 0': 100 }[row.test];
    assert.equal(row.peer_plain_tokens_per_s && Math.round(row.peer_plain_tokens_per_s), plain);
    assert.equal(row.peer_build, 'abc');
  }
  assert.equal(stdout.match(/^\| tiny \| Q4_0 \| 1 \| /gm).length, 4, stdout);
  assert.match(stdout, /% int8\+\w+ \| .*% int8\+\w+ \| -fa 1 -rtr 1 \(the file's own blocks: 1000\) \|$/m);
  assert.match(stdout, /% int8\+\w+ \| .*% int8\+\w+ \| -fa 1 -rtr 1 \|$/m);
  assert.match(stdout, /% read \| /);
  assert.match(stdout, /^Peaks with 1 thread: int8 \S+ Gop\/s, bf16 .* GB\/s\.$/m);
  // What to do with the weights where the phase is new, then without flash attention, then two runs of the
  // best; one repetition where it takes long.
  const asked = (flags, settings) => `-m ${model} -t 1 ${flags} -o json ${settings}`;
  const row = (flags, ...weights) => ['-fa 1 -rtr 1', ...weights, '-fa 0 -rtr 1', '-fa 1 -rtr 1', '-fa 1 -rtr 1']
    .map((settings) => asked(flags, settings));
  const others = ['-fa 1 -rtr 0', '-fa 1 -rtr 0 -thp 1'];
  assert.deepEqual(peer.calls(), [
    ...row('-p 32 -n 0 -r 2', ...others), ...row('-p 2048 -n 0 -r 1'),
    ...row('-p 0 -n 4 -r 2', ...others), ...row('-p 0 -n 0 -gp 1500,4 -r 1')]);
});

test('a peer of the other kind, settings told, a file that it cannot read, files made', () => {
  const peer = fakePeer('main', mainHelp);
  const brain = synth(folder, 'tiny-BF16', asText, 'BF16');
  const depth = ['--threads', '1', '--prefill', 'none', '--decode-depth', '64', '--decode-tokens', '4',
    '--runs', '1'];
  const { status, stdout, stderr } = run(peer.path, model, brain, ...depth);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^\| tiny \| Q4_0 .* \| -fa on \|$/m);
  assert.match(stdout, /^\| tiny \| BF16 .* \| - \| - \| \d+ % read \| - \| .*a type that I do not know \|$/m);
  assert.ok(peer.calls().includes(`-m ${model} -t 1 -p 0 -n 4 -d 64 -r 2 -o json -fa off`));
  assert.equal(run(peer.path, model, ...depth, '--peer-args=-fa off -b 64').status, 0);
  assert.match(peer.calls().pop(), / -o json -fa off -b 64$/);
  const made = run(peer.path, '--shape', `${asText},context=512`, '--type', 'Q8_0', ...depth);
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /^\| layers3-hidden128-.*-context512 \| Q8_0 \| 1 \| decode at 64 \| /m);
  rmSync(made.result().rows[0].file);
});

test('what the peaks allow', () => {
  const measured = JSON.parse(execFileSync(baton, ['bench', '-m', model, '-p', '40', '-n', '6', '-r', '1',
    '--depth', '24', '--threads', '1', '--shares', '--json', '--short-warm-up'], { encoding: 'utf8' }));
  const { layers, hidden, heads, kv_heads, head_dim, ffn, vocab } = shape;
  const weights = layers * (2 * hidden * heads * head_dim + 2 * hidden * kv_heads * head_dim + 3 * hidden * ffn);
  const products = 2 * (40 * weights + hidden * vocab);
  const keys = 40 * 24 + 40 * 41 / 2;
  const attention = 4 * layers * heads * head_dim * keys;
  const prefill_s = products / measured.int8_ops_per_s +
    attention / Math.max(measured.bf16_ops_per_s, measured.float_ops_per_s);
  const near = (name, expected) =>
    assert.ok(Math.abs(measured[name] / expected - 1) < 1e-9, `${name} ${measured[name]}, not ${expected}`);
  near('prefill_limit_tokens_per_s', 40 / prefill_s);
  const norms = 4 * hidden * (2 * layers + 1);
  const bytes = (weights + hidden * vocab) / 32 * 18 + norms;
  const kv = layers * 2 * kv_heads * head_dim * 2 * (24 + 40 + 3.5);
  near('decode_limit_tokens_per_s', measured.read_bytes_per_s / (bytes + kv));
});

test('bad input is named', () => {
  const peer = fakePeer('fine', ikHelp).path;
  for (const [args, message] of [
    [[], /^compare: PEER_LLAMA_BENCH is missing/],
    [['/no/such/llama-bench'], /^compare: \/no\/such\/llama-bench: no such file/],
    [[folder], /not an executable file/],
    [['/bin/true'], /^compare: \/bin\/true: not a llama-bench/],
    [[peer, '/no/model.gguf'], /\/no\/model\.gguf: no such file/],
    [[peer, compare], /compare/],
    [[peer, '--type', 'Q9_9'], /Q9_9/],
    [[peer, '--shape', 'llama-9'], /llama-9/],
    [[peer, model, '--threads', '0'], /^compare: --threads 0: not a whole number from 1/],
    [[peer, model, '--threads', '4096'], /^compare: --threads 4096/],
    [[peer, model, '--prefill', 'many'], /^compare: --prefill many/],
    [[peer, model, '--prefill', 'none', '--decode-depth', 'none'], /nothing is left to measure/],
    [[peer, model, '--isa', 'mmx'], /mmx/],
    [[peer, model, '--sideways'], /--sideways/],
  ]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
  }
});
