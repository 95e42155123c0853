// The page: what a person sees and does. Everything that the API refuses is shown in its own words.

import { advice, Refusal, type Task } from "./client.js";
import { signIn, signOut, signUp, whoAmI, type User } from "./session.js";
import { completeTask, createTask, deleteTask, fetchTask, listTasks, replaceTask } from "./tasks.js";
import type { Page, Seen } from "./tasks.js";

const TITLE_MAX = 200;

function get<T extends HTMLElement>(selector: string, kind: new () => T, within: ParentNode = document): T {
  const found = within.querySelector(selector);
  if (found instanceof kind) return found;
  throw new Error(`the page has no ${selector}`);
}

const entrance = get("#entrance", HTMLFormElement);
const desk = get("#desk", HTMLElement);
const message = get("#message", HTMLElement);
const adding = get("#adding", HTMLFormElement);
const newTitle = get("#new-title", HTMLInputElement);
const filter = get("#filter", HTMLSelectElement);
const list = get("#tasks", HTMLUListElement);
const more = get("#more", HTMLButtonElement);
const editor = get("#editor", HTMLDialogElement);
const editing = get("#editing", HTMLFormElement);
const title = get("#title", HTMLInputElement);
const description = get("#description", HTMLTextAreaElement);

let me: User | undefined;
let shown: Page = { tasks: [], count: 0, next: undefined };
let open: Seen | undefined;

/** Do something for the person; say it where it is refused, and do what its code asks for. */
async function attempt(action: () => Promise<void>): Promise<void> {
  say("");
  document.body.ariaBusy = "true";
  try {
    await action();
  } catch (problem) {
    if (problem instanceof Refusal) await react(problem);
    else if (problem instanceof TypeError) say("there is no answer; are you offline?");
    else say(String(problem instanceof Error ? problem.message : problem));
  } finally {
    document.body.ariaBusy = "false";
  }
}

async function react(refusal: Refusal): Promise<void> {
  try {
    await follow(refusal);
  } catch {
    // what was refused first is what the person reads, and not that the page could do nothing about it
  }
  say(refusal.message, refusal.problem.errors?.map((one) => String(one.loc.at(-1))) ?? []);
}

async function follow(refusal: Refusal): Promise<void> {
  switch (advice(refusal)) {
    case "sign in":
      entrance.hidden = false; // what was being written stays
      break;
    case "start over":
      enter(await whoAmI());
      await reload();
      break;
    case "look again":
      await lookAgain();
      break;
    case "leave out":
      editor.close();
      await reload();
      break;
  }
}

/** Where the person looks: in the editor while it is open. */
function say(text: string, fields: string[] = []): void {
  message.textContent = text;
  (editor.open ? editing : entrance.hidden ? adding : entrance).before(message);
  document.querySelectorAll("input, textarea").forEach((one) => {
    const here = editor.open === editor.contains(one);
    one.ariaInvalid = String(here && fields.includes(one.getAttribute("name") ?? ""));
  });
}

function enter(user: User | undefined): void {
  me = user;
  editor.close();
  desk.hidden = !user;
  entrance.hidden = !!user;
  get("#name", HTMLElement).textContent = user?.name ?? "";
  show({ tasks: [], count: 0, next: undefined });
}

function show(page: Page): void {
  shown = page;
  list.replaceChildren(...page.tasks.map(row));
  more.hidden = page.next === undefined;
  get("#count", HTMLElement).textContent = `${page.tasks.length} of ${page.count}`;
}

function row(task: Task): HTMLLIElement {
  const item = get("#task", HTMLTemplateElement).content.cloneNode(true) as DocumentFragment;
  get(".title", HTMLElement, item).textContent = task.title;
  get(".note", HTMLElement, item).textContent = task.description;
  const box = get("input", HTMLInputElement, item);
  box.checked = task.complete;
  box.onchange = () => attempt(() => complete(task, box));
  get(".edit", HTMLButtonElement, item).onclick = () => attempt(() => openEditor(task));
  get(".delete", HTMLButtonElement, item).onclick = () => attempt(() => remove(task));
  return get("li", HTMLLIElement, item);
}

async function complete(task: Task, box: HTMLInputElement): Promise<void> {
  const wish = box.checked;
  box.checked = !wish; // until it is so
  box.checked = (await completeTask(task, wish)).complete;
  if (filter.value) await reload();
}

async function remove(task: Task): Promise<void> {
  await deleteTask(task);
  await reload();
}

const wanted = () => (filter.value ? filter.value === "done" : undefined);

async function reload(): Promise<void> {
  if (!me) return;
  const whose = me;
  const page = await listTasks(whose.id, wanted());
  if (me === whose) show(page); // or else somebody has signed in or out meanwhile
}

// #region pages
async function showMore(): Promise<void> {
  if (!me || shown.next === undefined) return;
  const page = await listTasks(me.id, wanted(), shown.next);
  show({ ...page, tasks: [...shown.tasks, ...page.tasks] });
}
// #endregion

// #region once
let draft = { title: "", key: "" };

/** The key stays with the title until the task is there: pressed again after a failure, it is still one task. */
async function add(): Promise<void> {
  if (!me) return;
  if (draft.title !== newTitle.value) draft = { title: newTitle.value, key: crypto.randomUUID() };
  await createTask(me.id, draft.title, draft.key);
  draft = { title: "", key: "" };
  newTitle.value = "";
  await reload();
}
// #endregion

// #region two-tabs
async function openEditor(task: Task): Promise<void> {
  open = await fetchTask(task);
  title.value = open.task.title;
  description.value = open.task.description ?? "";
  editor.showModal();
}

async function save(): Promise<void> {
  if (!open) return;
  await replaceTask(open, title.value, description.value || null);
  editor.close();
  await reload();
}

/** After a 412: what the person has written stays, the other state is shown, and "Save" now knows of it. */
async function lookAgain(): Promise<void> {
  if (!open) return;
  open = await fetchTask(open.task);
  get("#theirs", HTMLElement).textContent = `It now says: ${open.task.title}`;
}
// #endregion

// #region length
/** Characters as the API counts them: "👍".length is 2, and it is one character. */
function characters(text: string): number {
  return [...text].length;
}
// #endregion

function count(): void {
  get("#length", HTMLElement).textContent = newTitle.value && `${characters(newTitle.value)} of ${TITLE_MAX}`;
}

newTitle.oninput = count;
filter.onchange = () => attempt(reload);
more.onclick = () => attempt(showMore);
get("#refresh", HTMLButtonElement).onclick = () => attempt(reload);
get("#cancel", HTMLButtonElement).onclick = () => editor.close();
editor.onclose = () => {
  get("#theirs", HTMLElement).textContent = "";
  say("");
};
get("#sign-out", HTMLButtonElement).onclick = () =>
  attempt(async () => {
    await signOut();
    enter(undefined);
  });
adding.onsubmit = (event) => {
  event.preventDefault();
  void attempt(add).then(count);
};
editing.onsubmit = (event) => {
  event.preventDefault();
  void attempt(save);
};
entrance.onsubmit = (event) => {
  event.preventDefault();
  const { email, password } = Object.fromEntries(new FormData(entrance)) as { email: string; password: string };
  const isNew = event.submitter?.id === "sign-up";
  void attempt(async () => {
    const name = email.split("@")[0] ?? email;
    enter(isNew ? await signUp(name, email, password) : await signIn(email, password));
    await reload();
  });
};
void attempt(async () => {
  enter(await whoAmI());
  await reload();
});
