// #region server
// Better Auth and the page on one origin, so that the session's cookie reaches Better Auth.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { toNodeHandler } from "better-auth/node";
import { auth } from "./auth.mjs";

const FILES = { "/": ["index.html", "text/html"], "/page.js": ["page.js", "text/javascript"] };
const answerAuth = toNodeHandler(auth);

createServer(async (request, response) => {
  if (request.url.startsWith("/api/auth/")) return answerAuth(request, response);
  const [file, type] = FILES[request.url] ?? [];
  response.writeHead(file ? 200 : 404, { "Content-Type": type ?? "text/plain" });
  response.end(file && (await readFile(file)));
}).listen(3000, "localhost", () => console.log("http://localhost:3000"));
// #endregion
