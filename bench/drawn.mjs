// As bench/predictions.mjs, of clusters, models and placements that are drawn: two to four nodes on one or two of this
// machine's first two processors, shared or not, some without AVX-512, each on a link of its own rate (network
// namespaces; needs root):
//   node bench/drawn.mjs [--seed 1] [--seconds 600] [--nodes 3] [--folder DIR]
// Nodes measure themselves as they do for their owner, one after the other while the others are there. Of every
// cluster the planner's own choice and five drawn placements are predicted, then placed and measured.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { Cluster, synth } from '../tests/e2e/harness.mjs';
import { ask, median, nameOf, off, settled, signed, toldBy, typical } from './placements.mjs';

const { values: options } = parseArgs({ options: { seed: { type: 'string', default: '1' },
  seconds: { type: 'string', default: '600' }, nodes: { type: 'string' }, folder: { type: 'string' } } });
for (const [name, least, most] of [['seed', 1, 1e9], ['seconds', 1, 1e6], ['nodes', 1, 4]]) {
  const value = Number(options[name] ?? least);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new Error(`--${name} ${options[name]}: a number from ${least} to ${most}`);
}
const promised = 15;
const shapes = {
  'deep': 'layers=12,hidden=1024,heads=16,kv_heads=4,head_dim=64,ffn=2816,vocab=32000',
  'broad': 'layers=8,hidden=1536,heads=12,kv_heads=4,head_dim=128,ffn=4096,vocab=16000',
  'headed': 'layers=10,hidden=768,heads=12,kv_heads=12,head_dim=64,ffn=3072,vocab=50000',
  'experts': 'layers=8,hidden=1024,heads=16,kv_heads=4,head_dim=64,ffn=2048,vocab=32000,experts=16,experts_used=2,' +
    'expert_ffn=1536',
  'qwen3': 'qwen3-0.6b',
  'llama': 'llama-3.2-1b',
};
const types = ['Q4_0', 'Q8_0', 'Q4_K', 'Q6_K', 'Q5_K', 'Q5_0', 'IQ4_NL', 'MXFP4', 'F16', 'BF16'];

// The same draws in every run of a seed.
let state = (Number(options.seed) * 2654435761) % 4294967296 || 1;
const below = (count) => {
  state ^= state << 13; state >>>= 0; state ^= state >>> 17; state ^= state << 5; state >>>= 0;
  return state % count;
};
for (let i = 0; i < 20; ++i) below(2);
const pick = (list) => list[below(list.length)];
const shuffled = (list) => list.map((each) => [below(1 << 20), each]).sort((a, b) => a[0] - b[0]).map(([, each]) => each);

function drawDevice() {
  const processor = pick(['0', '1', '0,1', '0,1', undefined]);
  const threads = processor?.length === 1 ? 1 : 1 + below(2);
  return { processor, threads, ...(below(3) === 0 ? { variables: { BATON_KERNELS: 'avx2' } } : {}) };
}

// Who generates, in stages cut anywhere, and perhaps others who compute prompts.
function drawPlacement(names, layers) {
  const decode_on = shuffled(names).slice(0, 1 + below(Math.min(3, names.length)));
  const told = { decode_on };
  if (decode_on.length > 1) {
    const cuts = shuffled(Array.from({ length: layers - 1 }, (_, i) => i + 1)).slice(1 - decode_on.length)
      .sort((a, b) => a - b);
    told.split = [...cuts, layers].map((cut, i) => cut - (cuts[i - 1] ?? 0));
  }
  if (below(2) === 0) told.prefill_on = shuffled(names).slice(0, 1 + below(2));
  else if (decode_on.length === 1) return { nodes: decode_on };
  return told;
}

const rows = [];
const choices = [];
let prompts = 0;

async function compare(cluster, model, layers, { length, answer }) {
  const [node] = cluster.nodes;
  const workload = { prompt_tokens: length, answer_tokens: answer, context_tokens: length + answer + 64, concurrency: 1 };
  const names = cluster.nodes.map((each) => each.name);
  const tried = new Map();
  for (const told of [{}, ...Array.from({ length: 5 }, () => drawPlacement(names, layers))]) {
    const plan = (await node.post('/api/plan', { model, ...workload, ...told })).chosen;
    if (!tried.has(nameOf(plan))) tried.set(nameOf(plan), { plan, told: tried.size === 0 ? toldBy(plan) : told });
  }
  for (const [name, { plan, told }] of tried) {
    await node.place(model, { ...told, ...workload });
    await cluster.known(model);
    await ask(node, model, { length: 80, answer: 4, seed: 0 });
    const timings = [];
    for (let run = 0; run < 3; ++run) timings.push(await ask(node, model, { length, answer, seed: ++prompts }));
    await cluster.stop(model);
    const measured = typical(timings);
    const row = { ttft_off: off(plan.ttft_ms, measured.ttft_ms), tps_off: off(plan.decode_tokens_per_s, measured.tps) };
    rows.push(row);
    tried.get(name).total_ms = measured.total_ms;
    console.log(`| ${name} | ${plan.ttft_ms.toFixed(0)} / ${measured.ttft_ms.toFixed(0)} | ${signed(row.ttft_off)} | ` +
      `${plan.decode_tokens_per_s.toFixed(1)} / ${measured.tps.toFixed(1)} | ${signed(row.tps_off)} | ` +
      `${plan.total_ms.toFixed(0)} / ${measured.total_ms.toFixed(0)} |`);
  }
  const [[chosen, { total_ms }]] = tried;
  const [best, least] = [...tried].map(([name, each]) => [name, each.total_ms]).sort((a, b) => a[1] - b[1])[0];
  choices.push(off(total_ms, least));
  console.log(`\nchosen: ${chosen}, ${off(total_ms, least).toFixed(1)} % slower than ${best}\n`);
}

async function once(folder) {
  const devices = Array.from({ length: options.nodes ? Number(options.nodes) : 2 + below(3) }, drawDevice);
  const mbit = devices.map(() => pick([0, 100, 300, 1000, 2500]));
  const [shape, type] = [pick(Object.keys(shapes)), pick(types)];
  const [length, answer] = [pick([100, 200, 400, 800, 1200]), pick([17, 33, 65])];
  const model = `${shape}-${type}`;
  const path = join(folder, `${model}.gguf`);
  if (!existsSync(path)) synth(folder, model, shapes[shape], type);
  const cluster = await Cluster.start(devices.length, { models: [path], isolated: true, devices, mbit });
  try {
    await settled(cluster);
    const { layers } = JSON.parse(cluster.nodes[0].run('show', path, '--json'));
    console.log(`${devices.map((each, i) => `n${i}: ${each.threads} on ${each.processor ?? 'any'}` +
      `${each.variables ? ' with AVX2' : ''}, ${mbit[i] ? `${mbit[i]} Mb/s` : 'unshaped'}`).join('; ')}; ${model}, ` +
      `${layers} layers, prompts of ${length}, answers of ${answer}\n`);
    console.log('| placement | TTFT, ms | off | TPS | off | in all, ms |\n|---|---|---|---|---|---|');
    await compare(cluster, model, layers, { length, answer });
  } finally {
    await cluster.close();
  }
}

const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'baton-drawn-'));
mkdirSync(folder, { recursive: true });
try {
  for (const end = Date.now() + 1e3 * Number(options.seconds); Date.now() < end;) await once(folder);
  const within = (key) => rows.filter((row) => Math.abs(row[key]) <= promised).length;
  const typicalOff = (key) => `${median(rows.map((row) => Math.abs(row[key]))).toFixed(1)} %`;
  console.log(`${rows.length} placements, predicted / measured, within ${promised} %: TTFT ${within('ttft_off')} (median ` +
    `error ${typicalOff('ttft_off')}), TPS ${within('tps_off')} (${typicalOff('tps_off')}). ${choices.length} choices: ` +
    `${choices.filter((each) => each <= 5).length} at most 5 % slower than the best measured, at most ` +
    `${Math.max(...choices).toFixed(1)} %`);
} finally {
  if (!options.folder) rmSync(folder, { recursive: true, force: true });
}
