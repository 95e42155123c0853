// A proxy that compresses JSON, and therefore makes entity tags weak, as nginx does with `gzip_types application/json`.
//
// node compressing-proxy.mjs URL-OF-THE-API
//
// Prints its own URL, and ends with its standard input.
import http from "node:http";
import { createGzip } from "node:zlib";

const api = new URL(process.argv[2]);

const server = http.createServer((asked, answer) => {
  const options = { host: api.hostname, port: api.port, path: asked.url, method: asked.method, headers: asked.headers };
  const forwarded = http.request(options, (answered) => {
    const headers = { ...answered.headers };
    if (!headers["content-type"]?.startsWith("application/json")) {
      answer.writeHead(answered.statusCode, headers);
      answered.pipe(answer);
      return;
    }
    delete headers["content-length"];
    headers["content-encoding"] = "gzip";
    if (headers.etag) headers.etag = `W/${headers.etag}`;
    answer.writeHead(answered.statusCode, headers);
    answered.pipe(createGzip()).pipe(answer);
  });
  forwarded.on("error", () => answer.destroy());
  answer.on("close", () => forwarded.destroy());
  asked.pipe(forwarded);
});

server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on("end", () => process.exit());
