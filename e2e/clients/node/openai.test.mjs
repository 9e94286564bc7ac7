// The released `openai` client for Node against the gateway. In short: test_openai.py beside it tells the whole story.
// Run by `cargo test` (e2e/tests/gateway/clients.rs), which says where gateway, provider and the installed client are.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { HEADGATE_BASE_URL, HEADGATE_API_KEY, HEADGATE_NODE_FOLDER, FAKE_PROVIDER_URL } = process.env;
const OpenAI = createRequire(`${HEADGATE_NODE_FOLDER}/package.json`)('openai');
const client = new OpenAI({ baseURL: HEADGATE_BASE_URL, apiKey: HEADGATE_API_KEY, maxRetries: 0, timeout: 30_000 });
const messages = [{ role: 'user', content: 'Xin chào' }];

const received = async () => (await fetch(`${FAKE_PROVIDER_URL}/_fake/received`)).json();

test('a whole answer', async () => {
  const answer = await client.chat.completions.create({ model: 'chat', messages });
  assert.equal(answer.choices[0].message.content, 'Xin chào from the fake provider.');
  assert.equal(answer.usage.total_tokens, 18);
});

test('a stream', async () => {
  const stream = await client.chat.completions.create({ model: 'chat', messages, stream: true });
  let events = 0;
  for await (const chunk of stream) events += chunk.choices[0]?.delta?.content ? 1 : 0;
  assert.equal(events, 5);
});

test('the list of models', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes('chat'));
});

for (const [model, error, status] of [
  ['status-400', OpenAI.BadRequestError, 400],
  ['status-401', OpenAI.InternalServerError, 502],
  ['status-429-after-7', OpenAI.RateLimitError, 429],
  ['status-500', OpenAI.InternalServerError, 500],
  ['no-such-model', OpenAI.NotFoundError, 404],
]) {
  test(`${model} throws ${error.name}`, async () => {
    await assert.rejects(client.chat.completions.create({ model, messages }), (thrown) => {
      assert.ok(thrown instanceof error, String(thrown));
      assert.equal(thrown.status, status);
      return true;
    });
  });
}

test('a wrong key throws AuthenticationError', async () => {
  const stranger = client.withOptions({ apiKey: 'vk-nobody-has-this-key-0000000000000' });
  await assert.rejects(stranger.chat.completions.create({ model: 'chat', messages }), OpenAI.AuthenticationError);
});

for (const model of ['reset-mid-stream', 'error-event']) {
  test(`a stream that breaks throws: ${model}`, async () => {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    await assert.rejects(async () => { for await (const _ of stream); });
  });
}

test('hanging up cancels the provider within a second', async () => {
  const before = (await received()).length;
  const stream = await client.chat.completions.create({ model: 'slow', messages, stream: true });
  for await (const _ of stream) break;
  const deadline = Date.now() + 1000;
  const hungUp = async () => (await received()).slice(before).some((request) => request.hung_up);
  while (!(await hungUp())) {
    assert.ok(Date.now() < deadline, 'the provider still streams');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});
