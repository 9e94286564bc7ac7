// The released `@anthropic-ai/sdk`: Messages.

import { API_KEY, PIXEL, RESULT, ROOT_URL, SCHEMA, WEATHER, WRONG_KEY, load } from './world.mjs';

const { Anthropic } = load('@anthropic-ai/sdk');
const sdk = new Anthropic({ baseURL: ROOT_URL, apiKey: API_KEY, maxRetries: 0, timeout: 20_000 });
const strange = new Anthropic({ baseURL: ROOT_URL, apiKey: WRONG_KEY, maxRetries: 0 });
const tools = [{ name: 'get_weather', description: 'The weather of a city.', input_schema: WEATHER }];
const max_tokens = 4096;

const asked = (question) => [{ role: 'user', content: question }];
const joined = (content, kind, field) =>
  content.filter((block) => block.type === kind).map((block) => block[field]).join('');
const said = ({ content, stop_reason, usage }) => ({
  text: joined(content, 'text', 'text'),
  thought: joined(content, 'thinking', 'thinking'),
  finish: stop_reason,
  inputTokens: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
  cachedTokens: usage.cache_read_input_tokens ?? 0,
  outputTokens: usage.output_tokens,
});

const messages = {
  name: 'anthropic (Node)',
  endpoint: 'messages',
  errors: {
    400: Anthropic.BadRequestError,
    401: Anthropic.AuthenticationError,
    404: Anthropic.NotFoundError,
    429: Anthropic.RateLimitError,
    500: Anthropic.InternalServerError,
    502: Anthropic.InternalServerError,
  },
  status: (error) => error.status,
  retryAfter: (error) => error.headers.get('retry-after'),

  async text(model, question, more = {}, client = sdk) {
    return said(await client.messages.create({ model, max_tokens, messages: asked(question), ...more }));
  },
  stranger: (model, question) => messages.text(model, question, {}, strange),

  async stream(model, question) {
    return said(await sdk.messages.stream({ model, max_tokens, messages: asked(question) }).finalMessage());
  },

  async loop(model, question, streamed) {
    const turns = asked(question);
    const request = { model, max_tokens, messages: turns, tools };
    const message = streamed ? await sdk.messages.stream(request).finalMessage() : await sdk.messages.create(request);
    if (message.stop_reason !== 'tool_use') throw new Error(`stopped with ${message.stop_reason}`);
    const call = message.content.find((block) => block.type === 'tool_use');
    const result = { type: 'tool_result', tool_use_id: call.id, content: RESULT };
    turns.push({ role: 'assistant', content: message.content }, { role: 'user', content: [result] });
    return { ...said(await sdk.messages.create(request)), name: call.name, arguments: call.input };
  },

  vision(model, question) {
    const source = { type: 'base64', media_type: 'image/png', data: PIXEL };
    return messages.text(model, [{ type: 'image', source }, { type: 'text', text: question }]);
  },

  async schema(model, question) {
    const format = { type: 'json_schema', schema: SCHEMA };
    return JSON.parse((await messages.text(model, question, { output_config: { format } })).text);
  },

  thinking: (model, question) =>
    messages.text(model, question, { thinking: { type: 'enabled', budget_tokens: 1024 } }),

  count: async (model, question) =>
    (await sdk.messages.countTokens({ model, messages: asked(question) })).input_tokens,

  async abort(model, question) {
    const stream = await sdk.messages.create({ model, max_tokens, messages: asked(question), stream: true });
    for await (const event of stream) if (event.type === 'content_block_delta') break;
  },

  drain: (model, question) => messages.stream(model, question),
};

export default [messages];
