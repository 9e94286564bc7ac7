// Every cell of the matrix (matrix.json): a client, one of its endpoints, a feature, a provider. test_matrix.py is the same
// for Python's clients.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';

import anthropic from './anthropic.mjs';
import openai from './openai.mjs';
import vercel from './vercel.mjs';
import { Cell, MATRIX, PIECE, PIXEL, SAMPLE, TEXT, THOUGHT } from './world.mjs';

const CLIENTS = [...openai, ...anthropic, ...vercel];
const FINISHED = { chat: 'stop', messages: 'end_turn', responses: 'completed' };
// Who counts no cached tokens apart.
const COUNTS_NO_CACHE = ['ollama'];
const outcomes = [];

/** The first rule of that kind which is about the cell. */
const ruleOf = (kind, { name, endpoint }, feature, provider) =>
  MATRIX[kind].find((rule) =>
    !rule['but providers']?.includes(provider) &&
    Object.entries({ clients: name, endpoints: endpoint, features: feature, providers: provider }).every(
      ([key, value]) => (rule[key] ?? [value]).includes(value),
    ),
  );

function checkSaid(said, cell, client, text = TEXT) {
  if (cell.provider === 'echo') return assert.ok(said.text.includes(cell.mark), said.text);
  assert.equal(said.text, text);
  // Vercel's SDK has one word for all.
  assert.equal(said.finish, client.name.startsWith('ai ') ? 'stop' : FINISHED[client.endpoint]);
  const cached = COUNTS_NO_CACHE.includes(cell.provider) ? 0 : 3;
  assert.deepEqual([said.inputTokens, said.cachedTokens, said.outputTokens], [11, cached, 7]);
}

async function loop(client, cell, streamed) {
  const said = await client.loop(cell.model(), cell.question, streamed);
  assert.deepEqual([said.name, said.arguments], ['get_weather', { city: 'Hanoi' }]);
  // Vercel's SDK streams every turn of a loop.
  assert.ok(said.text === TEXT || (streamed && said.text.startsWith(PIECE)), said.text);
  assert.equal((await cell.received()).length, 2, 'one turn for the call, one for its result');
}

async function vectors(client, cell, count) {
  const texts = Array.from({ length: count }, (_, n) => `${cell.question} ${n}`);
  const made = await client.vectors(cell.model(), texts);
  if (cell.provider === 'echo') return assert.ok(made.length === count && made[0].length > 0);
  assert.deepEqual(made, Array(count).fill([0.25, -0.5]));
}

const CHECKS = {
  text: async (client, cell) => checkSaid(await client.text(cell.model(), cell.question), cell, client),
  async stream(client, cell) {
    const said = await client.stream(cell.model(), cell.question);
    if (cell.provider !== 'echo') assert.ok(said.text.startsWith(PIECE.repeat(5)), said.text);
    checkSaid(said, cell, client, said.text);
  },
  tools: (client, cell) => loop(client, cell, false),
  'streamed tools': (client, cell) => loop(client, cell, true),
  async vision(client, cell) {
    checkSaid(await client.vision(cell.model(), cell.question), cell, client);
    if (cell.provider === 'echo') return;
    assert.ok((await cell.received()).at(-1).body.includes(PIXEL), 'the picture did not arrive');
  },
  schema: async (client, cell) => assert.deepEqual(await client.schema(cell.model(), cell.question), SAMPLE),
  async thinking(client, cell) {
    const said = await client.thinking(cell.model(), cell.question);
    const thought = MATRIX['shows thoughts'].includes(cell.provider) ? THOUGHT : '';
    assert.deepEqual([said.text, said.thought], [TEXT, thought]);
  },
  count: async (client, cell) => assert.ok((await client.count(cell.model(), cell.question)) > 0),
  'one vector': (client, cell) => vectors(client, cell, 1),
  vectors: (client, cell) => vectors(client, cell, 2),
  async errors(client, cell) {
    const throws = (asked, status) =>
      assert.rejects(asked, (error) => {
        assert.ok(error instanceof client.errors[status], `${status}: ${error}`);
        assert.equal(client.status(error), status);
        if (status === 429) assert.equal(client.retryAfter(error), '7');
        return true;
      });
    // The provider refused the gateway's credential: the caller's own key is fine, so no error of authentication.
    for (const [behaviour, status] of Object.entries({
      'status-400': 400, 'status-401': 502, 'status-404': 404, 'status-429-after-7': 429, 'status-500': 500,
      'no-such-model': 404,
    })) {
      await throws(client.text(cell.model(behaviour), cell.question), status);
    }
    await throws(client.stranger(cell.model(), cell.question), 401);
  },
  async abort(client, cell) {
    await client.abort(cell.model('slow'), cell.question);
    assert.ok(await cell.hungUp(), 'the provider still streams');
  },
  async cut(client, cell) {
    for (const behaviour of ['reset-mid-stream', 'error-event']) {
      await assert.rejects(client.drain(cell.model(behaviour), cell.question), behaviour);
    }
    const sent = (await cell.received()).map((request) => request.events_sent);
    assert.deepEqual(sent, [2, 2], 'it had not begun');
  },
};

async function run(client, feature, provider) {
  const cell = new Cell(provider, client.endpoint);
  const check = CHECKS[feature];
  if (ruleOf('does not apply', client, feature, provider)) return 'does not apply';
  if (ruleOf('not yet', client, feature, provider)) {
    await assert.rejects(async () => check(client, cell));
    return 'not yet';
  }
  const refused = ruleOf('refused', client, feature, provider);
  if (refused) {
    await assert.rejects(async () => check(client, cell), (error) => {
      assert.ok(error instanceof client.errors[refused.status], String(error));
      assert.match(error.message, new RegExp(refused.says));
      return true;
    });
    assert.deepEqual(await cell.received(), [], 'what is refused must not reach the provider');
    return 'refused';
  }
  await check(client, cell);
  return 'works';
}

for (const client of CLIENTS) {
  for (const feature of MATRIX.features[client.endpoint]) {
    for (const provider of MATRIX.providers) {
      if (feature === 'count' && !client.count) continue; // Vercel's SDK does not count
      test(`${client.name}, ${client.endpoint}: ${feature} at ${provider}`, async () => {
        const outcome = await run(client, feature, provider);
        outcomes.push([client.name, client.endpoint, feature, provider, outcome]);
      });
    }
  }
}

after(() => {
  const path = process.env.HEADGATE_MATRIX_OUTCOMES;
  if (path) writeFileSync(path, JSON.stringify(outcomes));
});
