// Uses the page in tests/node/frontend/ as people do, in Chromium: everything that it can do, and every kind of refusal.
//
// node use-page.mjs URL-OF-THE-PAGE URL-OF-THE-API FOLDER-FOR-PICTURES
//
// A line on stdout asks for something outside the browser (`>expire`) and is answered by one on stdin; the last line
// is a JSON report of the calls and refusals that were seen. What is wrong ends it with a message on stderr.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { launched } from "./chromium.mjs";

const [address, api, pictures] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const calls = [];
const wrong = [];
const unused = new Map();

async function outside(wish) {
  console.log(`>${wish}`);
  await answers.next();
}

class Tab {
  static async open(context) {
    const tab = new Tab();
    tab.page = await context.newPage();
    tab.page.setDefaultTimeout(10_000);
    tab.calls = [];
    tab.asked = [];
    tab.page.on("pageerror", (error) => wrong.push(`the page fails: ${error.message}`));
    tab.page.on("console", (said) => {
      const expected = /^Failed to load resource: /.test(said.text());
      if (said.type() === "error" && !expected) wrong.push(`the console says: ${said.text()}`);
    });
    tab.page.on("request", (asked) => {
      tab.asked.push(new URL(asked.url()).pathname);
      if (![address, api].includes(new URL(asked.url()).origin)) wrong.push(`the page asks for ${asked.url()}`);
    });
    tab.page.on("response", (answer) => {
      if (!answer.url().startsWith(api)) return;
      const call = { method: answer.request().method(), path: new URL(answer.url()).pathname, status: answer.status() };
      call.problem = answer.status() < 400 ? undefined : answer.json().catch(() => undefined);
      tab.calls.push(call);
      calls.push(call);
    });
    await tab.load();
    return tab;
  }

  /** Load the page, anew where it is there already. */
  async load() {
    if (this.page.url() === `${address}/`) await this.leave();
    await this.page.coverage.startJSCoverage();
    await this.page.goto(address);
    await this.settled();
  }

  /** Note what of the page has run; with the page, the browser forgets it. */
  async leave() {
    for (const script of await this.page.coverage.stopJSCoverage()) {
      if (!script.url.startsWith(address) || script.url.endsWith("/openapi-fetch.js")) continue;
      for (const { functionName, ranges } of script.functions) {
        const name = `${functionName} of ${new URL(script.url).pathname}`;
        if (functionName) unused.set(name, (unused.get(name) ?? true) && ranges[0].count === 0);
      }
    }
  }

  settled() {
    return this.page.waitForFunction(() => document.body.ariaBusy === "false", undefined, { polling: 20 });
  }

  async click(text, within = "body") {
    await this.page.locator(within).getByRole("button", { name: text, exact: true }).click();
    await this.settled();
  }

  async enter(who, how) {
    await this.page.fill("[name=email]", `${who.toLowerCase()}@example.org`);
    await this.page.fill("[name=password]", "correct horse battery staple");
    await this.click(how);
  }

  async add(title) {
    await this.page.fill("#new-title", title);
    await this.click("Add");
  }

  async edit(title, changes) {
    await this.click("Edit", this.row(title));
    await this.page.fill("#title", changes.title);
    if (changes.description) await this.page.fill("#description", changes.description);
  }

  row(title) {
    return `li:has(.title:text-is(${JSON.stringify(title)}))`;
  }

  titles() {
    return this.page.locator("#tasks .title").allTextContents();
  }

  message() {
    return this.page.locator("#message").textContent();
  }

  async fine() {
    assert.equal(await this.message(), "");
  }

  /** There was a refusal of this kind, and the person reads the API's own words. */
  async refused(status, code, picture) {
    const last = this.calls.findLast((call) => call.problem);
    const problem = await last?.problem;
    assert.deepEqual([last?.status, problem?.error_code], [status, code]);
    assert.equal(await this.message(), problem.detail);
    const { y, height } = await this.page.locator("#message").boundingBox();
    assert.ok(y >= 0 && y + height <= this.page.viewportSize().height, `${code} is shown where nobody sees it`);
    await this.picture(picture);
  }

  async picture(name) {
    await this.page.screenshot({ path: join(pictures, `frontend-${name}.png`) });
  }
}

mkdirSync(pictures, { recursive: true });
const browser = await launched();
const size = { width: 1000, height: 760 };
const hers = await browser.newContext({ viewport: size });
const first = await Tab.open(hers);
await first.picture("entrance");

// Alice signs up and does what there is to do
await first.enter("Alice", "Sign up");
await first.fine();
assert.deepEqual(await first.titles(), []);
await first.add("Buy milk");
await first.add("Call Bob");
assert.deepEqual(await first.titles(), ["Call Bob", "Buy milk"]);
await first.page.locator(first.row("Buy milk")).getByRole("checkbox").click();
await first.settled();
assert.ok(await first.page.locator(first.row("Buy milk")).getByRole("checkbox").isChecked());
for (const [which, expected] of [["done", ["Buy milk"]], ["open", ["Call Bob"]], ["", ["Call Bob", "Buy milk"]]]) {
  await first.page.selectOption("#filter", which);
  await first.settled();
  assert.deepEqual(await first.titles(), expected);
}
await first.edit("Call Bob", { title: "Call Bob at nine", description: "About the party.\nBring the list." });
await first.picture("editor");
await first.click("Save");
assert.deepEqual(await first.titles(), ["Call Bob at nine", "Buy milk"]);
await first.add("Nothing much");
await first.click("Delete", first.row("Nothing much"));
assert.deepEqual(await first.titles(), ["Call Bob at nine", "Buy milk"]);

// a title may have 200 characters; 𝔸 is one of them, and two of JavaScript's
await first.add("𝔸".repeat(200));
await first.fine();
await first.page.fill("#new-title", "𝔸".repeat(201));
assert.equal(await first.page.locator("#length").textContent(), "201 of 200");
await first.click("Add");
await first.refused(422, "VALIDATION_ERROR", "invalid");
assert.equal(await first.page.getAttribute("#new-title", "aria-invalid"), "true");
await first.click("Delete", first.row("𝔸".repeat(200)));

// more than a page
for (let number = 1; number <= 9; number++) await first.add(`Task ${number}`);
assert.equal(await first.page.locator("#count").textContent(), "10 of 11");
await first.click("More");
const all = [...Array.from({ length: 9 }, (_, place) => `Task ${9 - place}`), "Call Bob at nine", "Buy milk"];
assert.deepEqual(await first.titles(), all);
assert.ok(await first.page.locator("#more").isHidden());

// a second tab
const second = await Tab.open(hers);
await first.edit("Task 9", { title: "Task 9, as the first tab has it" });
await second.edit("Task 9", { title: "Task 9, as the second tab has it" });
await second.click("Save");
await second.fine();
await first.click("Save");
await first.refused(412, "VALIDATION_ERROR", "conflict");
assert.equal(await first.page.locator("#theirs").textContent(), "It now says: Task 9, as the second tab has it");
await first.click("Save");
assert.equal((await first.titles())[0], "Task 9, as the first tab has it");
await second.click("Delete", second.row("Task 8"));
await first.page.locator(first.row("Task 8")).getByRole("checkbox").click();
await first.settled();
await first.refused(404, "NOT_FOUND", "gone");
assert.ok(!(await first.titles()).includes("Task 8"));

// the database stores a task and dies before it can say so: the page tries again, and there is one task
const before = first.calls.length;
await outside("hold commits");
await first.page.fill("#new-title", "Once only");
await first.page.locator("#adding").getByRole("button").click();
await outside("crash");
await first.settled();
await first.fine();
assert.deepEqual(
  first.calls.slice(before).map((call) => `${call.method} ${call.status}`).filter((call) => call !== "POST 500"),
  ["POST 201", "GET 200"],
);
assert.equal(first.calls[before].status, 500);
assert.equal((await first.titles()).filter((title) => title === "Once only").length, 1);

// the database is away for longer than the page is patient
await outside("stop the database");
await first.click("Refresh");
await first.refused(500, "DATABASE_ERROR", "database");
await outside("start the database");
await first.click("Refresh");
await first.fine();

// a proxy answers in the service's stead, in its own way
const away = { status: 502, headers: { "access-control-allow-origin": "*" }, body: "<h1>Bad Gateway</h1>" };
await first.page.route(`${api}/**`, (route) => route.fulfill(away));
await first.click("Refresh");
assert.equal(await first.message(), "The tasks can't be reached right now. Please try again.");
await first.page.unroute(`${api}/**`);

// a proxy does not say that the call came by HTTPS, so starting over is refused too
const insecure = { detail: "Use HTTPS.", error_code: "AUTH_FORBIDDEN", timestamp: "2026-11-21T09:30:00Z" };
await first.page.route(`${api}/**`, (route) => route.fulfill({ headers: away.headers, status: 403, json: insecure }));
await first.click("Refresh");
assert.equal(await first.message(), "Use HTTPS.");
await first.page.unroute(`${api}/**`);
await first.click("Refresh");
await first.fine();

// Bob sees nothing of hers
const his = await browser.newContext({ viewport: { width: 390, height: 760 } });
const bobs = await Tab.open(his);
await bobs.enter("Bob", "Sign up");
assert.deepEqual(await bobs.titles(), []);
await bobs.add("Call Alice");
assert.deepEqual(await bobs.titles(), ["Call Alice"]);
await bobs.picture("bob");

// a token that has expired is replaced, and nobody notices
await outside("expire");
let asked = first.calls.length;
await first.load();
await first.fine();
assert.deepEqual(first.calls.slice(asked).map((call) => call.status), [401, 200]);

// two of them are not
await outside("expire");
await outside("expire");
asked = first.calls.length;
await first.load();
await first.refused(401, "AUTH_INVALID", "expired");
assert.deepEqual(first.calls.slice(asked).map((call) => call.status), [401, 401]);

// she has signed out in another tab, and then Bob has signed in there
await second.click("Sign out");
await first.click("Refresh");
await first.refused(401, "AUTH_MISSING", "signed-out");
await second.enter("Bob", "Sign in");
assert.deepEqual(await second.titles(), ["Call Alice"]);
await first.click("Refresh");
await first.refused(403, "AUTH_FORBIDDEN", "somebody-else");
assert.deepEqual(await first.titles(), ["Call Alice"]);

// Better Auth has no JWT plugin: the page says so, and does not ask again
await outside("hide tokens");
asked = first.asked.length;
await first.load();
assert.equal(await first.message(), "Better Auth has no /api/auth/token: add its plugin jwt().");
assert.equal(first.asked.slice(asked).filter((path) => path === "/api/auth/token").length, 1);
await outside("show tokens");
await first.load();

// she signs in again, on her phone
await first.click("Sign out");
await first.page.setViewportSize({ width: 390, height: 760 });
await first.enter("Alice", "Sign in");
await first.fine();
assert.equal(await first.page.locator("#count").textContent(), "10 of 11");
await first.picture("phone");
assert.equal(await first.page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth), 0);

// her token is still on its way when Bob signs in behind her: it is not taken for his, nor are her tasks
let arrives;
const late = new Promise((resolve) => (arrives = resolve));
let departs;
const onItsWay = new Promise((resolve) => (departs = resolve));
const hold = async (route) => {
  const answer = await route.fetch();
  departs();
  await late;
  await route.fulfill({ response: answer });
};
await first.page.route("**/api/auth/token", hold, { times: 1 });
const hersAgain = first.load();
await onItsWay; // before that the page could still be the one from before it was loaded anew
await first.page.getByRole("button", { name: "Sign out", exact: true }).click();
await first.page.locator("#entrance").waitFor();
await first.enter("Bob", "Sign in");
const answered = first.page.waitForResponse((answer) => answer.url().startsWith(api));
arrives();
await answered;
await hersAgain;
assert.deepEqual(await first.titles(), ["Call Alice"]);
await first.click("Refresh");
await first.fine();
assert.deepEqual(await first.titles(), ["Call Alice"]);
await first.click("Sign out");
await first.enter("Alice", "Sign in");

// nobody can say whose token it is: she is not signed out
await outside("rotate");
await outside("hide keys");
const unjudged = bobs.load();

// meanwhile she has no network
await hers.setOffline(true);
await first.click("Refresh");
assert.match(await first.message(), /are you offline/);
await unjudged;
await bobs.refused(500, "INTERNAL_ERROR", "unjudged");
assert.ok(await bobs.page.locator("#entrance").isHidden());

for (const tab of [first, second, bobs]) await tab.leave();
await browser.close();
const problems = await Promise.all(calls.map((call) => call.problem));
console.log(
  JSON.stringify({
    operations: calls.map((call) => [call.method, call.path]),
    codes: [...new Set(problems.flatMap((problem) => problem?.error_code ?? []))],
    unused: [...unused].flatMap(([name, never]) => (never ? [name] : [])),
    wrong,
  }),
);
process.exit();
