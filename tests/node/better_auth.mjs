// A real Better Auth for the tests, in memory, on a free port of this machine.
//
// node better_auth.mjs '{"algorithm": "ES256", "definePayload": true, …}'
//
// It prints its URL, then answers each line on stdin (rotate, withdraw, close, open, mails) with one line of JSON,
// and ends when stdin does. A frontend's team configures `jwt(...)` the same way.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";

const { secret, algorithm, definePayload, rotationInterval, sessionCookie } = JSON.parse(process.argv[2]);
const db = { user: [], session: [], account: [], verification: [], jwks: [] };
const mails = [];
const sockets = new Set();

const server = createServer((request, response) => handle(request, response));
server.on("connection", (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});
const listen = (port) => new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
await listen(0);
const { port } = server.address();

const handle = toNodeHandler(
  betterAuth({
    baseURL: `http://127.0.0.1:${port}`,
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
        jwt: definePayload ? { definePayload: ({ user }) => ({ user_id: user.id, email: user.email }) } : {},
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
};

console.log(`http://127.0.0.1:${port}`);
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify((await commands[line]()) ?? null));
}
process.exit();
