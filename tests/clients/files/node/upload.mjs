// Uploads a content by tus-js-client: once in one go, and once broken off and continued by another client.
import { createHash, randomBytes } from "node:crypto";
import * as tus from "tus-js-client";

const { BACKROOM_ENDPOINT: endpoint, BACKROOM_TOKEN: token } = process.env;
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const content = randomBytes(3_000_000);

function uploaded(options, breakAfter = Infinity) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(content, {
      endpoint,
      headers,
      chunkSize: 700_000,
      retryDelays: [0, 500, 1000, 2000],
      metadata: { filename: "Übung.bin", filetype: "application/octet-stream" },
      onError: reject,
      onSuccess: () => resolve({ url: upload.url, broken: false }),
      onChunkComplete: (_size, accepted) => {
        if (accepted >= breakAfter) upload.abort().then(() => resolve({ url: upload.url, broken: true }), reject);
      },
      ...options,
    });
    upload.start();
  });
}

const whole = await uploaded({});
const first = await uploaded({ uploadDataDuringCreation: true }, 1_400_000);
const resumed = await uploaded({ uploadUrl: first.url });
const given = await uploaded({}, 700_000);
await tus.Upload.terminate(given.url, { headers });
const after = await fetch(given.url, { method: "HEAD", headers: { ...headers, "Tus-Resumable": "1.0.0" } });
console.log(
  JSON.stringify({
    sha256: createHash("sha256").update(content).digest("hex"),
    urls: [whole.url, resumed.url],
    broken: [first.broken, given.broken],
    terminated: after.status,
  }),
);
