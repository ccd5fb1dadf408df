// The same greedy tokens from one node, from 2 and 3 pipeline stages, and from prefill on one node with
// decode on another: for two weight types, both types of KV cache, experts, windows and latents, over three processes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Cluster, randomPrompts, synth } from './harness.mjs';

const folder = mkdtempSync(join(tmpdir(), 'baton-models-'));
const shape = 'layers=6,hidden=256,heads=4,kv_heads=2,ffn=768,vocab=4096';
const experts = ',arch=qwen3moe,experts=8,experts_used=2,expert_ffn=256';
const models = [['tiny-q4', 'Q4_0', shape], ['tiny-f16', 'F16', shape], ['tiny-moe', 'Q4_0', shape + experts],
  // Prompts go past their windows, cached prefixes end within them.
  ['tiny-oss', 'MXFP4', `${shape},arch=gpt-oss,experts=8,experts_used=2,expert_ffn=256,window=48`],
  ['tiny-gemma3', 'Q8_0', `${shape},arch=gemma3,tied=1,window=90`],
  ['tiny-deepseek', 'Q4_0', `${shape},arch=deepseek2,head_dim=96,experts=8,experts_used=2,expert_ffn=256,kv_rank=128,` +
    'q_rank=128,rope_dim=32,value_dim=64,dense_layers=1,shared_experts=1,groups=4,groups_used=2,sigmoid=1']];
let cluster;

before(async () => {
  const files = models.map(([name, type, itsShape]) => synth(folder, name, itsShape, type));
  cluster = await Cluster.start(3, { models: files, args: ['--chunk', '64'] });
});
after(async () => {
  await cluster?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('three nodes find each other', (t) => {
  t.diagnostic(`${cluster.found_ms} ms from the last start (process start included)`);
  assert.ok(cluster.found_ms > 0);
});

const arrangements = {
  'two stages': { decode_on: ['n0', 'n1'], split: [2, 4] },
  'three stages': { decode_on: ['n1', 'n2', 'n0'], split: [2, 3, 1] },
  'prefill on n0, decode on n1': { prefill_on: ['n0'], decode_on: ['n1'] },
  'prefill on n2 and n1, decode on n0': { prefill_on: ['n2', 'n1'], decode_on: ['n0'] },
};

const cases = [['tiny-q4', 'f16', 200], ['tiny-f16', 'f16', 200], ['tiny-q4', 'q8_0', 80],
  ['tiny-moe', 'f16', 80], ['tiny-oss', 'f16', 80], ['tiny-oss', 'q8_0', 40], ['tiny-gemma3', 'f16', 80],
  ['tiny-deepseek', 'f16', 80], ['tiny-deepseek', 'q8_0', 40]];

for (const [model, kv_type, count] of cases) {
  const title = `every arrangement of ${model} with a KV cache of ${kv_type} gives the tokens of one node`;
  test(title, { timeout: 600000 }, async () => {
    const prompts = randomPrompts(count, 4096, 160);
    const ask = async (node, prompt) => (await node.tokens(model, prompt, 12));
    await cluster.nodes[0].place(model, { nodes: ['n0'], kv_type });
    const expected = [];
    for (const prompt of prompts) expected.push((await ask(cluster.nodes[0], prompt)).tokens);
    assert.ok(new Set(expected.map((tokens) => tokens.join())).size > count / 2, 'the prompts matter');
    await cluster.stop(model);
    for (const [name, told] of Object.entries(arrangements)) {
      await cluster.nodes[0].place(model, { ...told, kv_type });
      await cluster.known(model);
      let remote = 0;
      // Eight at a time, so that whoever decodes does so in batches.
      for (let first = 0; first < prompts.length; first += 8) {
        const group = prompts.slice(first, first + 8);
        const answers = await Promise.all(group.map((prompt, i) => ask(cluster.nodes[i % 3], prompt)));
        for (const [i, answer] of answers.entries()) {
          assert.deepEqual(answer.tokens, expected[first + i], `${name}, prompt ${first + i}`);
          remote += answer.timings.remote_prefill;
        }
      }
      assert.equal(remote, told.prefill_on ? prompts.length : 0, name);
      await cluster.stop(model);
    }
  });
}
