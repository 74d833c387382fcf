// OFREP's provider for browsers, with what a browser has and Node 20 has not: EventSource, and a local storage.
import { EventSource } from 'eventsource';
import { say, settings, talk } from './talk.mjs';

const stored = new Map();
globalThis.EventSource = EventSource;
globalThis.localStorage = {
  getItem: (name) => stored.get(name) ?? null,
  setItem: (name, value) => stored.set(name, value),
  removeItem: (name) => stored.delete(name),
};

const { OFREPWebProvider } = await import('@openfeature/ofrep-web-provider');
const { OpenFeature, ProviderEvents } = await import('@openfeature/web-sdk');

const requests = [];
const provider = new OFREPWebProvider({
  baseUrl: settings.url,
  headers: settings.headers,
  timeoutMs: 15_000,
  cacheMode: settings.cache,
  // To see what it is answered; it asks as ever.
  fetchImplementation: async (request, options) => {
    const response = await fetch(request, options);
    requests.push(response.status);
    say({ event: 'fetched', status: response.status });
    return response;
  },
});
for (const event of Object.values(ProviderEvents)) {
  OpenFeature.addHandler(event, (details) => say({ event, flags: details?.flagsChanged ?? [] }));
}
let context = '{}';
await OpenFeature.setProviderAndWait(provider, {});
const client = OpenFeature.getClient();
await talk(async (method, command) => {
  // A page has one context, and asks anew where it changes.
  const wanted = JSON.stringify(command.context ?? {});
  if (wanted !== context) {
    context = wanted;
    await OpenFeature.setContext(command.context ?? {});
  }
  return client[method](command.key, command.default);
});
