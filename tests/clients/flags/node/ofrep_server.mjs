// OFREP for servers, by the current core: the published provider still wants the core of long ago.
import { OFREPApi, handleEvaluationError, isEvaluationFailureResponse, toResolutionDetails } from '@openfeature/ofrep-core';
import { OpenFeature } from '@openfeature/server-sdk';
import { settings, talk } from './talk.mjs';

const api = new OFREPApi({ baseUrl: settings.url, headers: settings.headers, timeoutMs: 15_000 });

async function resolve(key, fallback, context) {
  const { value } = await api.postEvaluateFlag(key, { context });
  return isEvaluationFailureResponse(value) ? handleEvaluationError(value, fallback) : toResolutionDetails(value, fallback);
}

await OpenFeature.setProviderAndWait({
  metadata: { name: 'ofrep-core' },
  resolveBooleanEvaluation: resolve,
  resolveStringEvaluation: resolve,
  resolveNumberEvaluation: resolve,
  resolveObjectEvaluation: resolve,
});
const client = OpenFeature.getClient();
await talk((method, command) => client[method](command.key, command.default, command.context));
