// What every client program does: commands come in as lines of JSON, answers and events go out as lines of JSON.
import { createInterface } from 'node:readline';

export function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export const settings = JSON.parse(process.env.CLIENT);

const METHODS = {
  boolean: 'getBooleanDetails',
  string: 'getStringDetails',
  integer: 'getNumberDetails',
  float: 'getNumberDetails',
  object: 'getObjectDetails',
};

export function answerOf(details) {
  const { value, reason, variant, errorCode, flagMetadata } = details;
  return { answer: { value, reason, variant: variant || null, error: errorCode ?? null, metadata: flagMetadata ?? {} } };
}

// `evaluate` is given the client's method for the type, and the command.
export async function talk(evaluate) {
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    say(answerOf(await evaluate(METHODS[command.type], command)));
  }
  process.exit(0);
}
