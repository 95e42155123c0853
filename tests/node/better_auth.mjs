// A real Better Auth for the tests, in memory, on a port of this machine; with a folder as `page`, a frontend's server.
//
// node better_auth.mjs '{"algorithm": "ES256", "definePayload": true, …}'
//
// It prints its URL, then answers each line on stdin (one of `commands`) with one line of JSON, and ends when stdin does.
// A frontend's team configures `jwt(...)` the same way.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, extname, join } from "node:path";
import { createInterface } from "node:readline";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";

const options = JSON.parse(process.argv[2]);
const { secret, algorithm, definePayload, rotationInterval, sessionCookie, page } = options;
const db = { user: [], session: [], account: [], verification: [], jwks: [] };
const mails = [];
const sockets = new Set();

let keysHidden = false;
let tokensHidden = false;
let expired = 0;
const token = {
  ...(definePayload ? { definePayload: ({ user }) => ({ user_id: user.id, email: user.email }) } : {}),
  expirationTime: "15m",
};

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript" };
const server = createServer(async (request, response) => {
  if (keysHidden && request.url === "/api/auth/jwks") return request.destroy();
  if (tokensHidden && request.url === "/api/auth/token") return response.writeHead(404).end();
  if (request.url === "/api/auth/token") token.expirationTime = expired-- > 0 ? "-1m" : "15m";
  if (!page || request.url.startsWith("/api/auth/")) return handle(request, response);
  const file = join(page, basename(request.url) || "index.html");
  const content = await readFile(file).catch(() => undefined);
  response.writeHead(content ? 200 : 404, { "content-type": TYPES[extname(file)] ?? "text/plain" }).end(content);
});
server.on("connection", (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});
const listen = (port) => new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
await listen(options.port ?? 0);
const { port } = server.address();
const url = `http://${page ? "localhost" : "127.0.0.1"}:${port}`;

const handle = toNodeHandler(
  betterAuth({
    baseURL: url,
    secret,
    database: memoryAdapter(db),
    emailAndPassword: { enabled: true },
    emailVerification: {
      sendOnSignUp: true,
      sendVerificationEmail: async ({ token }) => void mails.push(token),
    },
    session: sessionCookie ? { cookieCache: { enabled: true, strategy: "jwt" } } : {},
    plugins: [
      jwt({
        sessionCookieCache: sessionCookie === "keys",
        jwks: {
          ...(algorithm ? { keyPairConfig: { alg: algorithm } } : {}),
          ...(rotationInterval ? { rotationInterval } : {}),
        },
        jwt: token,
      }),
    ],
  }),
);

const commands = {
  // what the passing of `rotationInterval` does: the next token is signed with a new key, the old one is still served
  rotate: () => db.jwks.forEach((key) => (key.expiresAt = new Date(Date.now() - 1000))),
  withdraw: () => db.jwks.splice(0),
  close: () => {
    server.close();
    sockets.forEach((socket) => socket.destroy());
  },
  open: () => server.listening || listen(port),
  mails: () => mails,
  // the next token that is fetched has expired a minute ago; asked twice, the next two have
  expire: () => void (expired = Math.max(expired, 0) + 1),
  "hide keys": () => void (keysHidden = true),
  // as where the JWT plugin is missing
  "hide tokens": () => void (tokensHidden = true),
  "show tokens": () => void (tokensHidden = false),
};

console.log(url);
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify((await commands[line]()) ?? null));
}
process.exit();
