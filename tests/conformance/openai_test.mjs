// The official `openai` package: streams, usage, log probabilities, errors, a stream that breaks off.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import OpenAI from 'openai';

import { Node, freePort } from '../e2e/harness.mjs';

const model = 'baton-demo';
const messages = [{ role: 'user', content: 'Hello! My name is Ottokar.' }];
const folder = mkdtempSync(join(tmpdir(), 'baton-openai-'));
let node;
let client;

before(async () => {
  node = await new Node({
    name: 'solo', home: join(folder, 'solo'), api: `127.0.0.1:${await freePort()}`,
    listen: `127.0.0.1:${await freePort()}`, args: ['--quiet', '--no-discovery'] }).start();
  client = new OpenAI({ baseURL: `http://${node.api}/v1`, apiKey: 'none', maxRetries: 0 });
});
after(async () => {
  await node?.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

test('lists and shows models', async () => {
  const ids = [];
  for await (const each of client.models.list()) ids.push(each.id);
  assert.ok(ids.includes(model));
  assert.equal((await client.models.retrieve(model)).id, model);
  await assert.rejects(client.models.retrieve('nope'), OpenAI.NotFoundError);
});

test('a whole answer has text, usage and a reason', async () => {
  const answer = await client.chat.completions.create({ model, messages, temperature: 0 });
  const [choice] = answer.choices;
  assert.equal(answer.object, 'chat.completion');
  assert.equal(choice.message.role, 'assistant');
  assert.match(choice.message.content, /Ottokar/);
  assert.equal(choice.finish_reason, 'stop');
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  assert.ok(answer.usage.completion_tokens > 3);
});

test('a stream says the same as the whole answer', async () => {
  const asked = { model, messages, temperature: 0 };
  const whole = await client.chat.completions.create(asked);
  const stream = await client.chat.completions.create(
    { ...asked, stream: true, stream_options: { include_usage: true } });
  let text = '';
  let usage;
  const ids = new Set();
  const reasons = [];
  let first;
  for await (const chunk of stream) {
    first ??= chunk;
    ids.add(chunk.id);
    assert.equal(chunk.object, 'chat.completion.chunk');
    if (chunk.usage) {
      usage = chunk.usage;
      assert.deepEqual(chunk.choices, []);
      continue;
    }
    text += chunk.choices[0].delta.content ?? '';
    if (chunk.choices[0].finish_reason) reasons.push(chunk.choices[0].finish_reason);
  }
  assert.equal(first.choices[0].delta.role, 'assistant');
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(ids.size, 1);
  assert.deepEqual(reasons, ['stop']);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test('log probabilities belong to the text', async () => {
  const answer = await client.chat.completions.create(
    { model, messages, temperature: 0, logprobs: true, top_logprobs: 3 });
  const [choice] = answer.choices;
  const bytes = Buffer.from(choice.logprobs.content.flatMap((each) => each.bytes));
  assert.equal(bytes.toString('utf8'), choice.message.content);
  for (const each of choice.logprobs.content) {
    assert.equal(each.top_logprobs.length, 3);
    assert.ok(each.logprob <= 0);
    assert.equal(each.top_logprobs[0].token, each.token, 'greedy takes the likeliest');
  }
});

test('the same seed draws the same answer, stop strings stop, lengths hold', async () => {
  const asked = { model, messages, temperature: 1, seed: 4 };
  const one = await client.chat.completions.create(asked);
  const two = await client.chat.completions.create(asked);
  assert.equal(one.choices[0].message.content, two.choices[0].message.content);

  const greedy = { model, messages, temperature: 0 };
  const whole = (await client.chat.completions.create(greedy)).choices[0].message.content;
  const stop = whole.slice(8, 14);
  const stopped = await client.chat.completions.create({ ...greedy, stop: [stop] });
  assert.equal(stopped.choices[0].message.content, whole.slice(0, whole.indexOf(stop)));
  assert.equal(stopped.choices[0].finish_reason, 'stop');

  for (const name of ['max_tokens', 'max_completion_tokens']) {
    const short = await client.chat.completions.create({ ...greedy, [name]: 3 });
    assert.equal(short.usage.completion_tokens, 3);
    assert.equal(short.choices[0].finish_reason, 'length');
  }
});

test('legacy completions stream too', async () => {
  const stream = await client.completions.create(
    { model, prompt: 'Once upon a time', max_tokens: 12, stream: true, logprobs: 2 });
  let text = '';
  let logprobs = 0;
  for await (const chunk of stream) {
    text += chunk.choices[0].text;
    logprobs += chunk.choices[0].logprobs?.tokens.length ?? 0;
  }
  assert.ok(text.length > 0);
  assert.ok(logprobs > 0 && logprobs <= 12);
});

test('errors arrive as the classes that people catch', async () => {
  const wrong = [
    [{ model: 'nope', messages }, OpenAI.NotFoundError, 'model'],
    [{ model, messages: [] }, OpenAI.BadRequestError, 'messages'],
    [{ model, messages, temperature: 9 }, OpenAI.BadRequestError, 'temperature'],
    [{ model, messages, max_tokens: 0 }, OpenAI.BadRequestError, 'max_tokens'],
    [{ model, messages, n: 2 }, OpenAI.BadRequestError, 'n'],
    [{ model, messages, top_p: 'x' }, OpenAI.BadRequestError, 'top_p'],
  ];
  for (const [body, kind, param] of wrong) {
    const error = await client.chat.completions.create(body).then(() => null, (caught) => caught);
    assert.ok(error instanceof kind, `${JSON.stringify(body)}: ${error}`);
    assert.equal(error.param, param);
    assert.ok(error.message.length > 10);
  }
});

test('eight requests at once are all served', async () => {
  const asked = { model, messages, temperature: 0 };
  const expected = (await client.chat.completions.create(asked)).choices[0].message.content;
  const answers = await Promise.all(Array.from({ length: 8 }, () => client.chat.completions.create(asked)));
  for (const answer of answers) assert.equal(answer.choices[0].message.content, expected);
});

test('a stream that is cut is noticed', { timeout: 30000 }, async () => {
  // A proxy that drops the connection in the middle of the answer.
  const proxy = createServer(async (request, response) => {
    const body = [];
    for await (const piece of request) body.push(piece);
    const upstream = await fetch(`http://${node.api}${request.url}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: Buffer.concat(body) });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const reader = upstream.body.getReader();
    response.write((await reader.read()).value);
    await reader.cancel();
    setTimeout(() => response.destroy(), 50);
  });
  await new Promise((resolve) => { proxy.listen(0, '127.0.0.1', resolve); });
  const cut = new OpenAI({
    baseURL: `http://127.0.0.1:${proxy.address().port}/v1`, apiKey: 'none', maxRetries: 0 });
  await assert.rejects(async () => {
    const stream = await cut.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) void chunk;
  });
  proxy.close();
});

test('a node that stops mid-answer ends the stream with an error', { timeout: 30000 }, async () => {
  const stream = await client.chat.completions.create(
    { model, messages, stream: true, max_tokens: 3000, ignore_eos: true });
  await assert.rejects(async () => {
    let pieces = 0;
    for await (const chunk of stream) {
      void chunk;
      if (++pieces === 3) await node.post('/api/stop', { model });
    }
  }, OpenAI.APIError);
});
