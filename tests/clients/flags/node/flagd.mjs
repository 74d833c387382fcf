// flagd's provider for servers, which evaluates remotely or in its own process.
import { FlagdProvider } from '@openfeature/flagd-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import { say, settings, talk } from './talk.mjs';

const provider = new FlagdProvider({
  host: '127.0.0.1',
  port: settings.port,
  resolverType: settings.mode,
  selector: settings.selector,
  // The machine may be busy: the client's own deadline is half a second.
  deadlineMs: 15_000,
  retryBackoffMs: 200,
  retryBackoffMaxMs: 1000,
  retryGracePeriod: 60,
});
for (const event of Object.values(ProviderEvents)) {
  OpenFeature.addHandler(event, (details) => say({ event, flags: details?.flagsChanged ?? [] }));
}
await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();
await talk((method, command) => client[method](command.key, command.default, command.context));
