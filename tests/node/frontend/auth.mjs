// #region auth
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

export const auth = betterAuth({
  baseURL: "http://localhost:3000",
  // in memory: people are forgotten when the server stops
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
  emailAndPassword: { enabled: true },
  plugins: [jwt({ jwt: { definePayload: ({ user }) => ({ user_id: user.id, email: user.email }) } })],
});
// #endregion
