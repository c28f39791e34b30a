// The pages of `ui/dist` in front of a server that was built without them.

import { existsSync, readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { extname, join, normalize } from 'node:path';

const DIST = join(import.meta.dirname, '../dist');
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/** Listens on `port`; what is the API's goes to the server at `url`. Closed by what it returns. */
export async function front(port, url) {
  const server = createServer((asked, answer) => {
    if (/^\/(api|metrics)\b/.test(asked.url)) return pass(url, asked, answer);
    const file = join(DIST, normalize(new URL(asked.url, url).pathname));
    const found = extname(file) !== '' && existsSync(file) ? file : join(DIST, 'index.html');
    const type = TYPES[extname(found)] ?? 'text/html; charset=utf-8';
    answer.writeHead(200, {
      'content-type': type,
      'content-security-policy': "default-src 'self'; style-src-attr 'unsafe-inline'",
    });
    answer.end(readFileSync(found));
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return () => {
    server.closeAllConnections();
    server.close();
  };
}

function pass(url, asked, answer) {
  const { hostname, port, host } = new URL(url);
  const passed = request(
    { hostname, port, path: asked.url, method: asked.method, headers: { ...asked.headers, host } },
    (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    },
  );
  passed.on('error', () => answer.writeHead(502).end());
  answer.on('close', () => passed.destroy());
  asked.pipe(passed);
}
