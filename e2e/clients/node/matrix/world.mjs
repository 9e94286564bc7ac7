// What all clients of the matrix share: where things are, what is asked, what must come back.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { HEADGATE_BASE_URL, HEADGATE_API_KEY, HEADGATE_NODE_FOLDER, FAKE_PROVIDER_URL } = process.env;
export const BASE_URL = HEADGATE_BASE_URL;
export const ROOT_URL = BASE_URL.replace(/\/v1$/, '');
export const API_KEY = HEADGATE_API_KEY;
export const WRONG_KEY = 'vk-nobody-has-this-key-0000000000000';
export const load = createRequire(`${HEADGATE_NODE_FOLDER}/package.json`);
export const MATRIX = JSON.parse(readFileSync(new URL('../../matrix.json', import.meta.url)));

export const TEXT = 'Xin chào from the fake provider.';
export const PIECE = 'xin chao ';
export const THOUGHT = 'Somebody greets me.';
export const RESULT = '31 °C';
export const WEATHER = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
export const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city', 'days'],
  additionalProperties: false,
};
export const SAMPLE = { city: 'Hanoi', days: 7 };
// A PNG of one pixel.
export const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

/** One question, told from all others by a mark in its text, and what became of it at the provider. */
export class Cell {
  constructor(provider, endpoint) {
    this.provider = provider;
    this.models = endpoint === 'embeddings' ? 'embed-' : '';
    this.mark = randomUUID().replaceAll('-', '');
    this.question = `Xin chào ${this.mark}`;
  }

  model(behaviour = 'chat') {
    return `${this.provider}/${this.models}${behaviour}`;
  }

  async received() {
    return (await fetch(`${FAKE_PROVIDER_URL}/_fake/received?holding=${this.mark}`)).json();
  }

  /** Whether the provider sees the hang-up in time. */
  async hungUp(withinMs = 5000) {
    const deadline = Date.now() + withinMs;
    while (Date.now() < deadline) {
      if ((await this.received()).some((request) => request.hung_up)) return true;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return false;
  }
}
