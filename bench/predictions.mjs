// What the planner predicts against what real nodes do: two nodes that are unequal, on a shaped link
// (network namespaces; needs root), several models, placements and prompts:
//   node bench/predictions.mjs [--only WORD]... [--quick] [--placements n0,n0+n1] [--runs 3] [--steps]
//     [--patience 12] [--json FILE] [--folder DIR]
// --only keeps the rows whose "devices, link, model" has the word, or one of several. For every placement the node
// is asked what it predicts, then it is placed and measured through the API. After that the planner is
// asked what it would choose itself, which is measured too where it is none of these; and for all of it
// once more, now that the nodes have seen their own steps ("then"). --steps shows where the time went: what
// each node's engine ran, beside what was predicted of it. A run in which other programs took more than a
// twentieth of a processor is repeated, --patience times at most.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { Cluster, sleep, synth } from '../tests/e2e/harness.mjs';
import { ask, median, nameOf, off, settled, signed, toldBy, typical } from './placements.mjs';

const { values: options } = parseArgs({ options: {
  only: { type: 'string', multiple: true, default: [] }, quick: { type: 'boolean' }, runs: { type: 'string', default: '3' },
  steps: { type: 'boolean' }, placements: { type: 'string' }, json: { type: 'string' }, folder: { type: 'string' },
  answer: { type: 'string', default: '33' }, patience: { type: 'string', default: '12' } } });
const [runs, answer, patience] = [options.runs, options.answer, options.patience].map(Number);
const promised = 15;

// Unequal by what a core can do, and by cores: in the second, n1 has one of n0's.
const layouts = {
  'AVX-512 + AVX2': { devices: [{ processor: 0 }, { processor: 1, variables: { BATON_KERNELS: 'avx2' } }] },
  '2 threads + 1': { devices: [{ processor: '0,1', threads: 2 }, { processor: 1 }] },
};
const models = {
  'llama-1b-Q4_0': ['llama-3.2-1b', 'Q4_0'],
  'qwen3-0.6b-Q4_K': ['qwen3-0.6b', 'Q4_K'],
  'medium-Q8_0': ['layers=12,hidden=1024,heads=16,kv_heads=4,head_dim=64,ffn=2816,vocab=32000', 'Q8_0'],
  'wide-F16': ['layers=6,hidden=1536,heads=12,kv_heads=12,head_dim=128,ffn=4096,vocab=8192', 'F16'],
  'experts-Q4_0': ['layers=8,hidden=1024,heads=16,kv_heads=4,head_dim=64,ffn=2048,vocab=32000,experts=16,' +
    'experts_used=2,expert_ffn=1536', 'Q4_0'],
};
const all = ['n0', 'n1', 'n0>n1', 'n1>n0', 'n0+n1', 'n1+n0', 'n0+n1 3:1'];
const series = [
  ['AVX-512 + AVX2', 'unshaped', ['medium-Q8_0', 'experts-Q4_0'], all, [128, 640]],
  ['AVX-512 + AVX2', 'unshaped', ['llama-1b-Q4_0'], ['n0', 'n1>n0', 'n0+n1'], [512]],
  ['AVX-512 + AVX2', '1000 Mb/s', ['qwen3-0.6b-Q4_K', 'wide-F16'], ['n0', 'n1', 'n0>n1', 'n0+n1', 'n1+n0'], [192, 640]],
  ['AVX-512 + AVX2', '200 Mb/s', ['medium-Q8_0', 'wide-F16'], ['n0', 'n1', 'n0>n1', 'n0+n1'], [512]],
  ['2 threads + 1', '1000 Mb/s', ['medium-Q8_0', 'qwen3-0.6b-Q4_K'], ['n0', 'n1', 'n0>n1', 'n1>n0', 'n0+n1'], [512]],
];

// "n0", "n0>n1" (computes prompts > generates), "n0+n1 3:1" (stages, and how layers are shared out).
function told(name, layers) {
  const [who, shares] = name.split(' ');
  if (who.includes('>')) return { prefill_on: [who.split('>')[0]], decode_on: [who.split('>')[1]] };
  if (!who.includes('+')) return { nodes: [who] };
  const [a, b] = (shares ?? '1:1').split(':').map(Number);
  const first = Math.round(layers * a / (a + b));
  return { decode_on: who.split('+'), split: [first, layers - first] };
}

// Seconds of all processors since the start, less those of the nodes and of this process: what others took.
function secondsOfOthers(cluster) {
  const tick_s = 0.01;
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/)
    .slice(1).map(Number);
  let ticks = user + nice + system + irq + softirq + steal;
  for (const pid of [process.pid, ...cluster.nodes.map((node) => node.process.pid)]) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    ticks -= Number(fields[11]) + Number(fields[12]);
  }
  return ticks * tick_s;
}

// A run that others disturbed is repeated, as often as that may help.
async function undisturbed(cluster, run) {
  for (let left = patience; ; --left) {
    const [others_s, began] = [secondsOfOthers(cluster), Date.now()];
    const value = await run();
    const seconds = (Date.now() - began) / 1e3;
    const taken_s = secondsOfOthers(cluster) - others_s;
    if (taken_s <= Math.max(0.02, 0.05 * seconds)) return value;
    if (left <= 0) {
      if (patience > 0) console.error(`others took ${(100 * taken_s / seconds).toFixed(0)} % of a processor meanwhile`);
      return value;
    }
    await sleep(1500);
  }
}

// What engines ran since `since_us`: of each node, seconds of prompt chunks and the median decode step.
async function stepsSince(cluster, since_us) {
  const nodes = [];
  for (const node of cluster.nodes) {
    const { events } = await node.get('/api/timeline');
    const of = (what) => events.filter((each) => each.begin_us >= since_us && each.what === what)
      .map((each) => (each.end_us - each.begin_us) / 1e3);
    const [chunks, steps] = [of('prefill'), of('decode')];
    nodes.push({ node: node.name, chunks: chunks.length, prefill_ms: chunks.reduce((a, b) => a + b, 0),
      steps: steps.length, decode_ms: steps.length ? median(steps) : 0 });
  }
  return nodes;
}
async function nowOfTimeline(cluster) {
  const { events } = await cluster.nodes[0].get('/api/timeline');
  const others = await cluster.nodes[1].get('/api/timeline');
  return Math.max(0, ...events.concat(others.events).map((each) => each.end_us));
}
function showSteps(plan, steps) {
  for (const { node, chunks, prefill_ms, steps: count, decode_ms } of steps) {
    const [stage] = plan.stages.filter((each) => each.node === node);
    if (stage && chunks > 0)
      console.error(`    ${node}: prefill ${stage.prefill_ms.toFixed(1)} / ${prefill_ms.toFixed(1)} ms in ${chunks} chunks ` +
        `(${signed(off(stage.prefill_ms, prefill_ms))})`);
    if (stage && count > 0)
      console.error(`    ${node}: step ${stage.decode_ms.toFixed(2)} / ${decode_ms.toFixed(2)} ms of ${count} ` +
        `(${signed(off(stage.decode_ms, decode_ms))})`);
  }
}

async function measure(cluster, model, wanted, prompts, context) {
  const [node] = cluster.nodes;
  await node.place(model, { ...wanted, context_tokens: context, concurrency: 1, prompt_tokens: prompts.at(-1) });
  await cluster.known(model);
  await ask(node, model, { length: 80, answer: 4, seed: 0 });
  const timings = new Map();
  for (const length of prompts) {
    const of_length = [];
    let steps;
    for (let run = 0; run < runs; ++run) {
      const since_us = options.steps ? await nowOfTimeline(cluster) : 0;
      of_length.push(await undisturbed(cluster, () => ask(node, model, { length, answer, seed: ++prompts_made })));
      if (options.steps) steps = await stepsSince(cluster, since_us);
    }
    timings.set(length, { ...typical(of_length), steps });
  }
  await cluster.stop(model);
  return timings;
}

const predict = (cluster, model, wanted, length, context) => cluster.nodes[0].post('/api/plan', {
  model, ...wanted, prompt_tokens: length, answer_tokens: answer, context_tokens: context, concurrency: 1 });

let prompts_made = 0;
const rows = [];
const choices = [];

function note(where, length, placement, plan, measured) {
  const row = { ...where, prompt: length, placement,
    predicted_ttft_ms: plan.ttft_ms, ttft_ms: measured.ttft_ms, ttft_off: off(plan.ttft_ms, measured.ttft_ms),
    predicted_tps: plan.decode_tokens_per_s, tps: measured.tps, tps_off: off(plan.decode_tokens_per_s, measured.tps),
    predicted_total_ms: plan.total_ms, total_ms: measured.total_ms };
  rows.push(row);
  console.error(`${where.link}, ${where.model}, ${length}, ${placement}: TTFT ${row.predicted_ttft_ms.toFixed(0)} / ` +
    `${row.ttft_ms.toFixed(0)} ms (${signed(row.ttft_off)}), ${row.predicted_tps.toFixed(1)} / ${row.tps.toFixed(1)} ` +
    `tok/s (${signed(row.tps_off)}), in all ${row.predicted_total_ms.toFixed(0)} / ${row.total_ms.toFixed(0)} ms`);
  if (measured.steps) showSteps(plan, measured.steps);
  return row;
}

// What steps said of the devices since their nodes started.
async function showCorrections(cluster) {
  for (const { name, device } of (await cluster.nodes[0].get('/api/cluster')).nodes)
    console.error(`    ${name} takes ${device.corrections.map((each) => `${each.prefill.toFixed(2)} and ` +
      `${each.decode.toFixed(2)} times as long in ${each.type} (fine chunks ${each.fine_prefill.toFixed(2)})`).join(', ') || 'what was predicted'}`);
}

async function compare(cluster, where, placements, prompts) {
  const { model, layers } = where;
  const context = prompts.at(-1) + answer + 64;
  const ask = async (wanted, length) => (await predict(cluster, model, wanted, length, context)).chosen;
  // Everything is predicted before anything has run, as far as this model's weight type goes.
  const tried = placements.map((name) => ({ name, told: told(name, layers), lengths: prompts }));
  const chosen = new Map();
  for (const each of tried) each.identity = nameOf(await ask(each.told, prompts[0]));
  for (const length of options.placements ? [] : prompts) {
    const plan = await ask({}, length);
    const identity = nameOf(plan);
    chosen.set(length, identity);
    if (!tried.some((each) => each.identity === identity && each.lengths.includes(length)))
      tried.push({ name: identity, identity, told: toldBy(plan), lengths: [length] });
  }
  for (const each of tried) {
    each.plans = [];
    for (const length of each.lengths) each.plans.push(await ask(each.told, length));
  }
  for (const each of tried) {
    const measured = await measure(cluster, model, each.told, each.lengths, context);
    each.rows = each.lengths.map((length, i) => note(where, length, each.name, each.plans[i], measured.get(length)));
  }
  // The same predictions, now that the nodes have seen their own steps.
  if (options.steps) await showCorrections(cluster);
  for (const each of tried) {
    for (const row of each.rows) {
      const plan = await ask(each.told, row.prompt);
      row.ttft_off_then = off(plan.ttft_ms, row.ttft_ms);
      row.tps_off_then = off(plan.decode_tokens_per_s, row.tps);
    }
  }
  for (const [length, identity] of chosen) {
    const all_rows = tried.flatMap((each) => each.rows.map((row) => ({ row, identity: each.identity })))
      .filter(({ row }) => row.prompt === length);
    const best = all_rows.reduce((a, b) => (a.row.total_ms <= b.row.total_ms ? a : b));
    const mine = all_rows.find((each) => each.identity === identity);
    choices.push({ ...where, prompt: length, chosen: identity, chosen_ms: mine?.row.total_ms, best: best.identity,
      best_ms: best.row.total_ms, slower: mine ? off(mine.row.total_ms, best.row.total_ms) : undefined });
  }
}

function report() {
  console.log('| devices | link | model | prompt | placement | TTFT, ms | off | then | TPS | off | then |');
  console.log('|---|---|---|---|---|---|---|---|---|---|---|');
  for (const row of rows)
    console.log(`| ${row.devices} | ${row.link} | ${row.model} | ${row.prompt} | ${row.placement} | ` +
      `${row.predicted_ttft_ms.toFixed(0)} / ${row.ttft_ms.toFixed(0)} | ${signed(row.ttft_off)} | ` +
      `${signed(row.ttft_off_then)} | ${row.predicted_tps.toFixed(1)} / ${row.tps.toFixed(1)} | ${signed(row.tps_off)} | ` +
      `${signed(row.tps_off_then)} |`);
  const summary = (suffix) => {
    const [ttft, tps] = [`ttft_off${suffix}`, `tps_off${suffix}`];
    const within = (...keys) => rows.filter((row) => keys.every((key) => Math.abs(row[key]) <= promised)).length;
    const spread = (key) => `median error ${median(rows.map((row) => Math.abs(row[key]))).toFixed(1)} %, ` +
      `${signed(Math.min(...rows.map((row) => row[key])))} to ${signed(Math.max(...rows.map((row) => row[key])))}`;
    return `TTFT ${within(ttft)} (${spread(ttft)}), TPS ${within(tps)} (${spread(tps)}), both ${within(ttft, tps)}`;
  };
  console.log(`\n${rows.length} combinations, medians of ${runs}, predicted / measured. Within ${promised} %: ${summary('')}`);
  console.log(`Then, after the nodes have seen their own steps: ${summary('_then')}`);
  if (choices.length === 0) return;
  console.log('\n| devices | link | model | prompt | chosen | in all, ms | best of those measured | slower by |');
  console.log('|---|---|---|---|---|---|---|---|');
  for (const each of choices)
    console.log(`| ${each.devices} | ${each.link} | ${each.model} | ${each.prompt} | ${each.chosen} | ` +
      `${each.chosen_ms?.toFixed(0) ?? 'not measured'} | ${each.best}, ${each.best_ms.toFixed(0)} | ${each.slower?.toFixed(1) ?? '-'} % |`);
}

const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'baton-predictions-'));
mkdirSync(folder, { recursive: true });
const words = options.only;
const wanted = (...about) => words.length === 0 || words.some((word) => about.join(', ').includes(word));
const profileOf = (devices, i) => join(folder, `profile ${devices} ${i}.json`);

// Each device's profile, while the others, who have memory of their own in life, stand still.
async function measureAlone(devices, each) {
  for (const [i, device] of each.entries()) {
    if (existsSync(profileOf(devices, i))) continue;
    const cluster = await Cluster.start(1, { isolated: true, devices: [device] });
    try {
      await cluster.nodes[0].measured();
      copyFileSync(join(cluster.nodes[0].home, 'profile.json'), profileOf(devices, i));
    } finally {
      await cluster.close();
    }
  }
}

try {
  for (const [devices, link, names, placements, lengths] of series) {
    const kept = names.filter((name) => wanted(devices, link, name));
    if (kept.length === 0) continue;
    const prompts = options.quick ? lengths.slice(-1) : lengths;
    const files = kept.map((name) => {
      const path = join(folder, `${name}.gguf`);
      return existsSync(path) ? path : synth(folder, name, ...models[name]);
    });
    const { devices: each } = layouts[devices];
    await measureAlone(devices, each);
    const cluster = await Cluster.start(2, { models: files, isolated: true,
      mbit: link === 'unshaped' ? undefined : Number.parseInt(link, 10),
      devices: each.map((device, i) => ({ ...device, profile: profileOf(devices, i) })) });
    try {
      await settled(cluster);
      for (const [i, name] of kept.entries()) {
        const { layers } = JSON.parse(cluster.nodes[0].run('show', files[i], '--json'));
        await compare(cluster, { devices, link, model: name, layers }, options.placements?.split(',') ?? placements,
          prompts);
      }
    } finally {
      await cluster.close();
    }
  }
  report();
  if (options.json) writeFileSync(options.json, JSON.stringify({ rows, choices }, null, 1));
} finally {
  if (!options.folder) rmSync(folder, { recursive: true, force: true });
}
