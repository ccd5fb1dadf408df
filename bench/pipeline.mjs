// Chunk-pipelined prefill: two stages of one core each against one core alone.
//   node bench/pipeline.mjs MODEL.gguf [--prompt 4096] [--runs 3]
import { basename } from 'node:path';
import { parseArgs } from 'node:util';

import { Cluster, namespacesAllowed } from '../tests/e2e/harness.mjs';

const { values: options, positionals: [file] } = parseArgs({
  allowPositionals: true,
  options: { prompt: { type: 'string', default: '4096' }, runs: { type: 'string', default: '3' } } });
if (!file) throw new Error('usage: node bench/pipeline.mjs MODEL.gguf [--prompt N] [--runs N]');
const [length, runs] = [options.prompt, options.runs].map(Number);
const model = basename(file, '.gguf');
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const cluster = await Cluster.start(2, { models: [file], pin: true, isolated: namespacesAllowed() });
try {
  const { layers } = JSON.parse(cluster.nodes[0].run('show', file, '--json'));
  const ask = async (told, seed) => {
    await cluster.nodes[0].place(model, { ...told, context_tokens: length + 64 });
    await cluster.known(model);
    await cluster.nodes[0].tokens(model, [301 + seed], 2);
    const prompt = Array.from({ length }, (_, i) => 300 + ((i * 7919 + seed * 104729) % 3700));
    const { timings } = await cluster.nodes[0].tokens(model, prompt, 2);
    await cluster.stop(model);
    return timings.ttft_ms;
  };
  const ratios = [];
  for (let run = 0; run < runs; ++run) {
    const alone = await ask({ nodes: ['n0'] }, run);
    const both = await ask({ decode_on: ['n0', 'n1'], split: [layers / 2, layers - layers / 2] }, run);
    ratios.push(alone / both);
    console.error(`one core ${(alone / 1e3).toFixed(2)} s, two stages ${(both / 1e3).toFixed(2)} s`);
  }
  console.log(`${model}, ${length} tokens: two stages are ${median(ratios).toFixed(2)} times one core ` +
    `(${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}, ${runs} runs)`);
} finally {
  await cluster.close();
}
