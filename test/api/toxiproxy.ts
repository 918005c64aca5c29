/** As much of Toxiproxy's API as orders for the link need, with nothing behind it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

interface Proxy {
  enabled: boolean;
  toxics: { name: string }[];
}

/** Answers where it is, and how to end it. */
export async function startToxiproxy(): Promise<{ url: string; stop: () => void }> {
  const place = { name: 'link', listen: '[::]:9004', upstream: 'server:9000' };
  let proxy: Proxy = { enabled: true, toxics: [] };
  const server = createServer(async (request, response) => {
    const { method, url = '' } = request;
    const body = await text(request);
    if (method === 'DELETE') {
      proxy.toxics = proxy.toxics.filter(({ name }) => !url.endsWith(`/toxics/${name}`));
    } else if (method === 'POST' && url.endsWith('/toxics')) {
      proxy.toxics.push(JSON.parse(body));
    } else if (method === 'POST') {
      proxy = { ...proxy, ...JSON.parse(body), toxics: proxy.toxics };
    }
    response.end(JSON.stringify({ ...place, ...proxy }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}`, stop };
}
