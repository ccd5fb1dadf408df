// What a client sees when nodes die, and what strangers get.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Cluster, sleep, synth, until } from './harness.mjs';

const model = 'baton-demo';
const question = [{ role: 'user', content: 'Tell me a long story about a fox called Mirabel and a lamp.' }];
const folder = mkdtempSync(join(tmpdir(), 'baton-models-'));
let cluster;

before(async () => {
  // Large enough that an answer of thousands of tokens takes longer than any test waits.
  const slow = synth(folder, 'slow', 'layers=8,hidden=1024,heads=8,kv_heads=2,ffn=4096,vocab=4096', 'Q8_0');
  cluster = await Cluster.start(3, { models: [slow] });
});
after(async () => {
  await cluster?.close();
  rmSync(folder, { recursive: true, force: true });
});

// Streams an answer; `on_piece` sees each piece of text with its number.
async function stream(node, body, on_piece = () => {}) {
  const response = await fetch(`http://${node.api}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: question, stream: true, ...body }) });
  const result = { text: '', ids: new Set(), done: false, error: null, finish: null, gaps_ms: [] };
  let pending = '';
  let pieces = 0;
  let last = Date.now();
  for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
    pending += bytes;
    for (let end; (end = pending.indexOf('\n\n')) >= 0; pending = pending.slice(end + 2)) {
      const data = pending.slice(0, end).replace(/^data: /, '');
      result.gaps_ms.push(Date.now() - last);
      last = Date.now();
      if (data === '[DONE]') { result.done = true; continue; }
      const event = JSON.parse(data);
      if (event.error) { result.error = event.error; continue; }
      result.ids.add(event.id);
      const choice = event.choices[0];
      if (choice?.finish_reason) result.finish = choice.finish_reason;
      if (event.timings) result.timings = event.timings;
      const text = choice?.delta?.content;
      if (text) { result.text += text; await on_piece(++pieces); }
    }
  }
  return result;
}

test('kill -9 of the decode node mid-stream: nothing is lost, repeated or wrong', { timeout: 120000 },
  async (t) => {
    const [entry, prefill, decode] = cluster.nodes;
    const asked = { temperature: 0.8, seed: 11, max_tokens: 900, ignore_eos: true };
    await entry.place(model, { nodes: ['n0'] });
    const expected = await stream(entry, asked);
    assert.equal(expected.finish, 'length');
    await cluster.stop(model);

    await entry.place(model, { prefill_on: ['n1'], decode_on: ['n2'] });
    let killed;
    const answer = await stream(entry, asked, async (piece) => {
      if (piece === 5) killed = decode.kill();
    });
    await killed;
    assert.equal(answer.error, null);
    assert.equal(answer.text, expected.text);
    assert.equal(answer.ids.size, 1);
    assert.ok(answer.done);
    assert.ok(answer.timings.attempts > 1, 'the kill came in time');
    t.diagnostic(`the longest silence: ${Math.max(...answer.gaps_ms)} ms`);

    const next = await stream(entry, { temperature: 0 });
    assert.ok(next.done && !next.error, 'the next request is served by what is left');
    assert.equal(prefill.process.exitCode, null);
    await decode.start();
    await cluster.linked();
    await cluster.nodes[0].post('/api/stop', { model });
    await cluster.gone(model);
  });

test('a node that stands still is seen, and welcome when it goes on', { timeout: 60000 }, async (t) => {
  const [entry, , frozen] = cluster.nodes;
  const live = async () => {
    const { nodes } = await entry.get('/api/cluster');
    return nodes.filter((each) => each.live).length;
  };
  assert.equal(await live(), 3);
  frozen.process.kill('SIGSTOP');
  const began = Date.now();
  await until('the loss to be seen', async () => (await live()) === 2, 20000);
  t.diagnostic(`seen after ${Date.now() - began} ms`);
  frozen.process.kill('SIGCONT');
  await until('its return', async () => (await live()) === 3, 10000);
  await cluster.linked();
});

test('a client that goes away stops the work on every node', { timeout: 60000 }, async () => {
  const [entry, , decode] = cluster.nodes;
  await entry.place('slow', { prefill_on: ['n1'], decode_on: ['n2'] });
  const control = new AbortController();
  const response = await fetch(`http://${entry.api}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, signal: control.signal,
    body: JSON.stringify({ model: 'slow', messages: question, stream: true, max_tokens: 8000,
      ignore_eos: true }) });
  const reader = response.body.getReader();
  for (let i = 0; i < 5; ++i) await reader.read();
  control.abort();
  const busy = async () => {
    const text = await (await fetch(`http://${decode.api}/metrics`)).text();
    return Number(/^baton_engine_busy_seconds_total (\S+)/m.exec(text)[1]);
  };
  await until('the engine to stand still', async () => {
    const before_pause = await busy();
    await sleep(500);
    return (await busy()) === before_pause;
  }, 8000);
  await entry.post('/api/stop', { model: 'slow' });
  await cluster.gone('slow');
});

test('random bytes on the mesh port change nothing', { timeout: 60000 }, async () => {
  const [host, port] = cluster.nodes[0].listen.split(':');
  const send = (bytes) => new Promise((resolve) => {
    const socket = connect(Number(port), host, () => { socket.end(bytes); });
    socket.resume();  // unread alerts would keep it open
    socket.on('error', resolve);
    socket.on('close', resolve);
  });
  for (let i = 0; i < 40; ++i) {
    await send(randomBytes(1 + i * 97));
    // The start of a TLS handshake record, of the right length and of one too long.
    await send(Buffer.concat([Buffer.from([22, 3, 1, 0, i]), randomBytes(i)]));
    await send(Buffer.concat([Buffer.from([22, 3, 3, 63, i]), randomBytes(i * 40)]));
  }
  const { nodes } = await cluster.nodes[0].get('/api/cluster');
  assert.equal(nodes.filter((each) => each.live).length, 3);
  assert.equal(cluster.nodes[0].process.exitCode, null);
});

test('a revoked node is out, and stays out', { timeout: 60000 }, async () => {
  const [entry, , outcast] = cluster.nodes;
  entry.run('nodes', '--revoke', 'n2');
  const live = async (node) => (await node.get('/api/cluster')).nodes.filter((each) => each.live).length;
  await until('the revocation to act', async () => (await live(entry)) === 2, 5000);
  await until('the outcast to be alone', async () => (await live(outcast)) === 1, 5000);
  await sleep(1500);
  assert.equal(await live(entry), 2);
});

test('foreign hosts and origins are refused', async () => {
  const { request } = await import('node:http');
  const [host, port] = cluster.nodes[0].api.split(':');
  const status = (headers) => new Promise((resolve, reject) => {
    request({ host, port, path: '/api/cluster', headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject).end();
  });
  assert.equal(await status({ host: 'evil.example' }), 403);
  assert.equal(await status({ origin: 'http://evil.example' }), 403);
  assert.equal(await status({}), 200);
});
