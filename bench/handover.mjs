// The hand-over against its limits, between two hosts of one core each on a shaped link (network
// namespaces; needs root):
//   node bench/handover.mjs MODEL.gguf [--mbit 1000] [--prompt 1024] [--runs 5]
// For each run: the same prefill without any sending (decode on the same node), then with decode on the
// other node. Prints how much of the KV cache was sent before the prefill ended, what the hand-over
// cost until the second token against the promise (5 %, the last layer's transfer and 10 ms), and how
// fast the stream ran while it had something to send.
import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';

import { Cluster, randomPrompts } from '../tests/e2e/harness.mjs';

const { values: options, positionals: [file] } = parseArgs({
  allowPositionals: true,
  options: {
    mbit: { type: 'string', default: '1000' }, prompt: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '5' }, chunk: { type: 'string' },
  } });
if (!file) throw new Error('usage: node bench/handover.mjs MODEL.gguf [--mbit N] [--prompt N] [--runs N]');
const [mbit, length, runs] = [options.mbit, options.prompt, options.runs].map(Number);
const model = basename(file, '.gguf');
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const show = (values, digits = 1) => `${median(values).toFixed(digits)} ` +
  `(${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`;

const args = options.chunk ? ['--chunk', options.chunk] : [];
const cluster = await Cluster.start(2, { models: [file], args, pin: true, isolated: true, mbit });
try {
  const { layers } = JSON.parse(cluster.nodes[0].run('show', file, '--json'));
  const ask = async (told, seed) => {
    await cluster.nodes[0].place(model, told);
    await cluster.known(model);
    const warm = randomPrompts(1, 4000, 1, seed + 1000)[0];
    await cluster.nodes[0].tokens(model, warm, 2);
    const prompt = Array.from({ length }, (_, i) => 300 + ((i * 7919 + seed * 104729) % 3700));
    const { timings } = await cluster.nodes[0].tokens(model, prompt, 4);
    await cluster.stop(model);
    return timings;
  };
  const rows = [];
  for (let run = 0; run < runs; ++run) {
    const alone = await ask({ prefill_on: ['n0'], decode_on: ['n0'] }, run);
    const sent = await ask({ prefill_on: ['n0'], decode_on: ['n1'] }, run);
    const last_layer_ms = sent.kv_bytes / layers / (mbit * 1e3 / 8);
    const until_second = (timings) => timings.ttft_ms + timings.second_token_ms;
    rows.push({
      early: 100 * sent.kv_bytes_sent_before_prefill_end / sent.kv_bytes,
      alone: alone.ttft_ms, second: until_second(sent), ttft: sent.ttft_ms,
      excess: until_second(sent) - alone.ttft_ms,
      allowed: 0.05 * alone.ttft_ms + last_layer_ms + 10,
      stream: 100 * sent.kv_bytes * 8 / (sent.kv_sending_ms * 1e3) / mbit,
      megabytes: sent.kv_bytes / 1e6,
    });
    console.error(JSON.stringify(rows.at(-1)));
  }
  const column = (name) => rows.map((row) => row[name]);
  console.log(`${model}, ${length} tokens, ${mbit} Mb/s, ${runs} runs, median (least to most)`);
  console.log(`prefill without sending, TTFT: ${show(column('alone'))} ms`);
  console.log(`with hand-over, TTFT:          ${show(column('ttft'))} ms`);
  console.log(`TTFT + wait for second token:  ${show(column('second'))} ms`);
  console.log(`excess:                        ${show(column('excess'))} ms, allowed ${show(column('allowed'))} ms`);
  console.log(`sent before the prefill ended: ${show(column('early'))} % of ${median(column('megabytes')).toFixed(1)} MB`);
  console.log(`stream while sending:          ${show(column('stream'))} % of the link`);
} finally {
  await cluster.close();
}
