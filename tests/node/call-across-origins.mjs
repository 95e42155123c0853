// Calls the API from a page on another origin, as many frontends do: with `credentials: "include"`.
//
// node call-across-origins.mjs PORT-OF-THE-PAGE URL-OF-THE-API USER, with the user's token on standard input
//
// Prints as JSON the status of each call, or what `fetch` threw, and what the console said.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { launched } from "./chromium.mjs";

const [port, api, user] = process.argv.slice(2);
const token = readFileSync(0, "utf8").trim();

const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<p>A page"));
await new Promise((resolve) => server.listen(Number(port), "127.0.0.1", resolve));
const browser = await launched();
const page = await browser.newPage();
const said = [];
page.on("console", (message) => said.push(message.text()));
await page.goto(`http://localhost:${port}/`);

/** Runs in the page. */
async function call([api, user, token]) {
  const list = `${api}/api/${user}/tasks`;
  const send = async (method, url, body, more = {}) => {
    const headers = { Authorization: `Bearer ${token}`, ...more, ...(body ? { "Content-Type": "application/json" } : {}) };
    try {
      return await fetch(url, { method, headers, credentials: "include", body: body && JSON.stringify(body) });
    } catch (failure) {
      return { status: String(failure) };
    }
  };
  document.cookie = "session=x";
  const made = await send("POST", list, { title: "Buy milk" });
  const one = `${list}/${made.json ? (await made.json()).id : 1}`;
  const answers = {
    create: made,
    list: await send("GET", list),
    fetch: await send("GET", one),
    replace: await send("PUT", one, { title: "Buy milk", complete: true }),
    change: await send("PATCH", one, { complete: false }),
    delete: await send("DELETE", one),
    "without a token": await fetch(list, { credentials: "include" }).catch((failure) => ({ status: String(failure) })),
    "another header": await send("GET", list, undefined, { "X-Requested-With": "XMLHttpRequest" }),
  };
  return Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, answer.status]));
}

const statuses = await page.evaluate(call, [api, user, token]);
await browser.close();
server.close();
console.log(JSON.stringify({ statuses, said }));
