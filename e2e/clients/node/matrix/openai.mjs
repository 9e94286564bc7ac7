// The released `openai` for Node: chat completions, Responses, embeddings.

import { API_KEY, BASE_URL, PIXEL, RESULT, SCHEMA, WEATHER, WRONG_KEY, load } from './world.mjs';

const OpenAI = load('openai');
const sdk = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0, timeout: 20_000 });
const strange = sdk.withOptions({ apiKey: WRONG_KEY });
const FUNCTION = { name: 'get_weather', description: 'The weather of a city.', parameters: WEATHER };
const PICTURE = `data:image/png;base64,${PIXEL}`;

const common = {
  name: 'openai (Node)',
  errors: {
    400: OpenAI.BadRequestError,
    401: OpenAI.AuthenticationError,
    404: OpenAI.NotFoundError,
    429: OpenAI.RateLimitError,
    500: OpenAI.InternalServerError,
    502: OpenAI.InternalServerError,
  },
  status: (error) => error.status,
  retryAfter: (error) => error.headers.get('retry-after'),
};

const asked = (question) => [{ role: 'user', content: question }];
const usage = (counts) =>
  counts && {
    inputTokens: counts.prompt_tokens,
    cachedTokens: counts.prompt_tokens_details?.cached_tokens ?? 0,
    outputTokens: counts.completion_tokens,
  };
const said = ({ choices, usage: counts }) => ({
  text: choices[0].message.content,
  finish: choices[0].finish_reason,
  ...usage(counts),
});

const chat = {
  ...common,
  endpoint: 'chat',
  tools: [{ type: 'function', function: FUNCTION }],

  async text(model, question, more = {}, client = sdk) {
    return said(await client.chat.completions.create({ model, messages: asked(question), ...more }));
  },
  stranger: (model, question) => chat.text(model, question, {}, strange),

  async stream(model, question) {
    const stream = sdk.chat.completions.stream({
      model, messages: asked(question), stream_options: { include_usage: true },
    });
    return said(await stream.finalChatCompletion());
  },

  async loop(model, question, streamed) {
    const messages = asked(question);
    const { tools } = chat;
    const first = streamed
      ? await sdk.chat.completions.stream({ model, messages, tools }).finalChatCompletion()
      : await sdk.chat.completions.create({ model, messages, tools });
    const { message, finish_reason } = first.choices[0];
    if (finish_reason !== 'tool_calls') throw new Error(`finished with ${finish_reason}`);
    const [call] = message.tool_calls;
    // The model's turn goes back as it came, whatever extensions it holds.
    messages.push(message, { role: 'tool', tool_call_id: call.id, content: RESULT });
    const last = said(await sdk.chat.completions.create({ model, messages, tools }));
    return { ...last, name: call.function.name, arguments: JSON.parse(call.function.arguments) };
  },

  vision: (model, question) =>
    chat.text(model, [{ type: 'text', text: question }, { type: 'image_url', image_url: { url: PICTURE } }]),

  async schema(model, question) {
    const json_schema = { name: 'forecast', schema: SCHEMA, strict: true };
    const { text } = await chat.text(model, question, { response_format: { type: 'json_schema', json_schema } });
    return JSON.parse(text);
  },

  async abort(model, question) {
    const stream = await sdk.chat.completions.create({ model, messages: asked(question), stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
  },

  async drain(model, question) {
    const stream = await sdk.chat.completions.create({ model, messages: asked(question), stream: true });
    for await (const _ of stream);
  },
};

const responses = {
  ...common,
  endpoint: 'responses',
  tools: [{ type: 'function', ...FUNCTION, strict: false }],

  said: ({ output_text, status, usage: counts }) => ({
    text: output_text,
    finish: status,
    inputTokens: counts.input_tokens,
    cachedTokens: counts.input_tokens_details.cached_tokens,
    outputTokens: counts.output_tokens,
  }),

  async text(model, input, more = {}, client = sdk) {
    return responses.said(await client.responses.create({ model, input, ...more }));
  },
  stranger: (model, question) => responses.text(model, question, {}, strange),

  async stream(model, input) {
    const final = await sdk.responses.stream({ model, input }).finalResponse();
    return responses.said(final);
  },

  async loop(model, question, streamed) {
    const input = asked(question);
    const more = { model, tools: responses.tools, store: false };
    const first = streamed
      ? await sdk.responses.stream({ input, ...more }).finalResponse()
      : await sdk.responses.create({ input, ...more });
    const call = first.output.find((item) => item.type === 'function_call');
    input.push(...first.output, { type: 'function_call_output', call_id: call.call_id, output: RESULT });
    const last = responses.said(await sdk.responses.create({ input, ...more }));
    return { ...last, name: call.name, arguments: JSON.parse(call.arguments) };
  },

  vision(model, question) {
    const content = [{ type: 'input_text', text: question }, { type: 'input_image', image_url: PICTURE, detail: 'auto' }];
    return responses.text(model, [{ role: 'user', content }]);
  },

  async schema(model, question) {
    const format = { type: 'json_schema', name: 'forecast', schema: SCHEMA, strict: true };
    return JSON.parse((await responses.text(model, question, { text: { format } })).text);
  },

  async abort(model, input) {
    const stream = await sdk.responses.create({ model, input, stream: true });
    for await (const event of stream) if (event.type === 'response.output_text.delta') break;
  },

  async drain(model, input) {
    const stream = await sdk.responses.create({ model, input, stream: true });
    for await (const _ of stream);
  },
};

const embeddings = {
  ...common,
  endpoint: 'embeddings',
  text: (model, input, client = sdk) => client.embeddings.create({ model, input }),
  stranger: (model, question) => embeddings.text(model, question, strange),
  // Unasked, the SDK asks for base64 and decodes it.
  vectors: async (model, texts) => (await embeddings.text(model, texts)).data.map((item) => item.embedding),
};

export default [chat, responses, embeddings];
