// Throughput predicted against measured: two nodes that always have so many requests, each client asking
// anew as soon as it is answered, in every way that two nodes share the work:
//   node bench/throughput.mjs [--at-once 8] [--prompt 512] [--answer 64] [--rounds 8]
//     [--phantom m4-max] [--shape llama-3.2-1b:Q8_0] [--speed 1] | [--file MODEL.gguf]
// With --file the nodes are real, one core each; without, phantoms, whose two nodes hinder each other nowhere.
import { basename } from 'node:path';
import { parseArgs } from 'node:util';

import { Cluster, namespacesAllowed } from '../tests/e2e/harness.mjs';
import { ask, settled } from './placements.mjs';

const { values: options } = parseArgs({ options: {
  'at-once': { type: 'string', default: '8' }, prompt: { type: 'string', default: '512' },
  answer: { type: 'string', default: '64' }, rounds: { type: 'string', default: '8' },
  phantom: { type: 'string', default: 'm4-max' }, shape: { type: 'string', default: 'llama-3.2-1b:Q8_0' },
  speed: { type: 'string', default: '1' }, file: { type: 'string' } } });
const [clients, length, answer, rounds] =
  [options['at-once'], options.prompt, options.answer, options.rounds].map(Number);
for (const [name, value] of Object.entries({ 'at-once': clients, prompt: length, answer, rounds })) {
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${options[name]}: a number from 1 on`);
}
const model = options.file ? basename(options.file, '.gguf') : options.shape.replace(':', '-');
const pretended = ['--phantom', options.phantom, '--model-shape', options.shape, '--speed', options.speed];
const part = (layers, share) => [layers - Math.round(layers * share), Math.round(layers * share)];

// Who computes prompts > who generates; "a+b" is a pipeline.
const ways = (layers) => [
  ['a', { nodes: ['n0'] }],
  ['a>b', { prefill_on: ['n0'], decode_on: ['n1'] }],
  ['a+b', { decode_on: ['n0', 'n1'], split: part(layers, 1 / 2) }],
  ['a>b+a', { prefill_on: ['n0'], decode_on: ['n1', 'n0'], split: part(layers, 1 / 5) }],
  ['a>a+b', { prefill_on: ['n0'], decode_on: ['n0', 'n1'], split: part(layers, 4 / 5) }],
  ['b+a>b+a', { prefill_on: ['n1', 'n0'], decode_on: ['n1', 'n0'], split: part(layers, 1 / 5) }],
  ['a+b>b', { prefill_on: ['n0', 'n1'], decode_on: ['n1'] }],
  ['b+a>b', { prefill_on: ['n1', 'n0'], decode_on: ['n1'] }],
  ['as planned, one instance', { objective: 'throughput', one_instance: true }],
  ['as planned', { objective: 'throughput' }],
];

const cluster = await Cluster.start(2, options.file
  ? { models: [options.file], pin: true, isolated: namespacesAllowed() }
  : { isolated: namespacesAllowed(), args: pretended });
const [node] = cluster.nodes;
let asked = 0;

// After a round in which all begin together, which no busy cluster does.
async function busy(name) {
  let done = 0, began, ended;
  const ttft = [];
  await Promise.all(Array.from({ length: clients }, async () => {
    while (ended === undefined) {
      const { ttft_ms } = await ask(node, name, { length, answer, seed: ++asked });
      ++done;
      if (done === clients) began = Date.now();
      if (done > clients && ended === undefined) ttft.push(ttft_ms);
      if (done === clients * (1 + rounds)) ended = Date.now();
    }
  }));
  return { tokens_per_s: 1e3 * clients * rounds * answer / (ended - began),
    ttft_ms: ttft.reduce((a, b) => a + b) / ttft.length };
}

try {
  if (options.file) await settled(cluster);
  else for (const each of cluster.nodes) await each.measured();
  const ids = (await node.get('/v1/models')).data.map((each) => each.id);
  const name = ids.find((id) => id === model) ?? ids.find((id) => id.startsWith(options.shape.split(':')[0]));
  const workload = { prompt_tokens: length, answer_tokens: answer, context_tokens: length + answer + 64,
    concurrency: clients };
  const predict = async (told) => (await node.post('/api/plan', { model: name, ...workload, ...told })).chosen;
  const layers = (await predict({ nodes: ['n0'] })).stages[0].last_layer + 1;
  console.log('| prompts > answers | tokens/s, predicted / measured | off | TTFT, ms |\n|---|---|---|---|');
  for (const [label, told] of ways(layers)) {
    const plan = await predict(told);
    await node.place(name, { ...workload, ...told });
    await cluster.known(name);
    const { tokens_per_s, ttft_ms } = await busy(name);
    const off = 100 * (plan.throughput_tokens_per_s / tokens_per_s - 1);
    const what = label.startsWith('as planned') ? `${label}: ${plan.reason.replace(/ (take|give)s?,? .*/, '')}` : label;
    console.log(`| ${what} | ${plan.throughput_tokens_per_s.toFixed(0)} / ${tokens_per_s.toFixed(0)} | ` +
      `${off.toFixed(0)} % | ${ttft_ms.toFixed(0)} |`);
    await cluster.stop(name);
  }
} finally {
  await cluster.close();
}
