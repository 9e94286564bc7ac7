// Vercel's released `ai` with each of its providers that can be pointed at a gateway.

import { API_KEY, BASE_URL, PIXEL, RESULT, SCHEMA, WEATHER, WRONG_KEY, load } from './world.mjs';

const { APICallError, embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } = load('ai');
const { createAnthropic } = load('@ai-sdk/anthropic');
const { createOpenAI } = load('@ai-sdk/openai');
const { createOpenAICompatible } = load('@ai-sdk/openai-compatible');

const openai = (apiKey) => createOpenAI({ baseURL: BASE_URL, apiKey });
const compatible = (apiKey) =>
  createOpenAICompatible({
    name: 'headgate', baseURL: BASE_URL, apiKey, includeUsage: true, supportsStructuredOutputs: true,
  });
const anthropic = (apiKey) => createAnthropic({ baseURL: BASE_URL, apiKey });

/** Every error of a call is of one class; the status tells them apart. */
const errors = Object.fromEntries([400, 401, 404, 429, 500, 502].map((status) => [status, APICallError]));
const common = {
  errors,
  status: (error) => error.statusCode,
  retryAfter: (error) => error.responseHeaders['retry-after'],
};
const said = ({ text, finishReason, totalUsage, reasoningText }) => ({
  text,
  finish: finishReason,
  thought: reasoningText ?? '',
  inputTokens: totalUsage.inputTokens,
  cachedTokens: totalUsage.inputTokenDetails?.cacheReadTokens ?? 0,
  outputTokens: totalUsage.outputTokens,
});

/** A stream to its end. What goes wrong in it is one of its parts. */
async function drained(result, isEnough = () => false) {
  for await (const part of result.fullStream) {
    if (part.type === 'error') throw part.error;
    if (isEnough(part)) return;
  }
}

/** The SDK's functions over one of its models. */
function speaking(name, endpoint, languageModel, providerOptions = {}) {
  const ask = (model, more) => ({ model: languageModel(API_KEY, model), maxRetries: 0, providerOptions, ...more });
  const client = {
    ...common,
    name,
    endpoint,

    text: async (model, question, more = {}) => said(await generateText(ask(model, { prompt: question, ...more }))),
    stranger: (model, question) =>
      generateText({ model: languageModel(WRONG_KEY, model), maxRetries: 0, prompt: question }),

    async stream(model, question) {
      const result = streamText(ask(model, { prompt: question, onError() {} }));
      await drained(result);
      return said({
        text: await result.text, finishReason: await result.finishReason, totalUsage: await result.totalUsage,
      });
    },

    async loop(model, question, streamed) {
      let given;
      const get_weather = tool({
        description: 'The weather of a city.',
        inputSchema: jsonSchema(WEATHER),
        execute: async (input) => { given = input; return RESULT; },
      });
      const more = ask(model, { prompt: question, tools: { get_weather }, stopWhen: stepCountIs(3) });
      if (!streamed) {
        const { text, finishReason } = await generateText(more);
        return { text, finish: finishReason, name: 'get_weather', arguments: given };
      }
      const result = streamText({ ...more, onError() {} });
      await drained(result);
      return { text: await result.text, finish: await result.finishReason, name: 'get_weather', arguments: given };
    },

    vision(model, question) {
      const content = [{ type: 'text', text: question }, { type: 'image', image: PIXEL, mediaType: 'image/png' }];
      return client.text(model, undefined, { messages: [{ role: 'user', content }] });
    },

    schema: async (model, question) =>
      (await generateObject(ask(model, { prompt: question, schema: jsonSchema(SCHEMA) }))).object,

    thinking: (model, question) =>
      client.text(model, question, {
        providerOptions: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } },
      }),

    async abort(model, question) {
      const giveUp = new AbortController();
      const result = streamText(ask(model, { prompt: question, abortSignal: giveUp.signal, onError() {} }));
      await drained(result, (part) => part.type === 'text-delta');
      giveUp.abort();
    },

    drain: (model, question) => drained(streamText(ask(model, { prompt: question, onError() {} }))),
  };
  return client;
}

function embedding(name, embeddingModel) {
  const embed = (model, values, key = API_KEY) =>
    embedMany({ model: embeddingModel(key, model), maxRetries: 0, values });
  return {
    ...common,
    name,
    endpoint: 'embeddings',
    text: (model, question) => embed(model, [question]),
    stranger: (model, question) => embed(model, [question], WRONG_KEY),
    vectors: async (model, texts) => (await embed(model, texts)).embeddings,
  };
}

// Without `store: false` the SDK refers to stored items by their ids, which only OpenAI itself has.
const NOTHING_STORED = { openai: { store: false } };

export default [
  speaking('ai + @ai-sdk/openai', 'chat', (key, model) => openai(key).chat(model)),
  speaking('ai + @ai-sdk/openai', 'responses', (key, model) => openai(key).responses(model), NOTHING_STORED),
  speaking('ai + @ai-sdk/openai-compatible', 'chat', (key, model) => compatible(key).chatModel(model)),
  speaking('ai + @ai-sdk/anthropic', 'messages', (key, model) => anthropic(key).messages(model)),
  embedding('ai + @ai-sdk/openai', (key, model) => openai(key).embedding(model)),
  embedding('ai + @ai-sdk/openai-compatible', (key, model) => compatible(key).embeddingModel(model)),
];
