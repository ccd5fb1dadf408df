// What benchmarks of placements share: plans as something to be told, and what requests took.

import { sleep, until } from '../tests/e2e/harness.mjs';

// Nodes that have measured themselves, read memory since, and, as they are on one machine, read it together.
export async function settled(cluster) {
  for (const node of cluster.nodes) await node.measured();
  await sleep(4000);
  if (cluster.nodes.length < 2) return;
  await until('all nodes to read memory at once', async () => {
    const { nodes } = await cluster.nodes[0].get('/api/cluster');
    return nodes.every((node) => node.device.processors.shared_reading_bytes_per_s > 0);
  }, 120000);
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
// By so many per cent more.
export const off = (predicted, measured) => 100 * (predicted / measured - 1);
export const signed = (percent) => `${percent >= 0 ? '+' : ''}${percent.toFixed(0)} %`;

// A plan of the planner's, as something to be told.
export function toldBy(plan) {
  const group = (...roles) => plan.stages.filter((stage) => roles.includes(stage.role));
  const decode = group('decode', 'both');
  const split = decode.map((stage) => stage.last_layer - stage.first_layer + 1);
  const prefill_on = group('prefill').map((stage) => stage.node);
  const decode_on = decode.map((stage) => stage.node);
  if (decode.length === 1 && prefill_on.length === 0) return { nodes: decode_on };
  return { decode_on, ...(prefill_on.length ? { prefill_on } : {}), ...(decode.length > 1 ? { split } : {}) };
}

// "n0", "n0>n1" (computes prompts > generates), "n0+n1 3:1" (stages, and how layers are shared out).
export function nameOf(plan) {
  const { nodes, prefill_on, decode_on, split } = toldBy(plan);
  const decode = nodes?.[0] ?? decode_on.join('+') + (split ? ` ${split.join(':')}` : '');
  return prefill_on ? `${prefill_on.join('+')}>${decode}` : decode;
}

// A greedy answer as a client asks for it, of a prompt of so many token ids that no other `seed` has: how long it took.
export async function ask(node, model, { length, answer, seed }) {
  const prompt = Array.from({ length }, (_, i) => 300 + ((i * 7919 + seed * 104729) % 3700));
  return (await node.post('/v1/completions', { model, prompt, max_tokens: answer, temperature: 0, ignore_eos: true })).timings;
}

// Of some answers. Tokens per second are between the second token and the last: what the hand-over left to wait for
// is before it.
export function typical(timings) {
  const of = (value) => median(timings.map(value));
  return { ttft_ms: of((each) => each.ttft_ms),
    tps: of((each) => 1e3 * (each.predicted_n - 2) / (each.predicted_ms - each.second_token_ms)),
    total_ms: of((each) => each.ttft_ms + each.predicted_ms) };
}
