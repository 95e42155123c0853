// #region sign-in
/** Better Auth's account of a person; `id` is in every path of the API. */
export interface User {
  id: string;
  name: string;
}

/** Ask Better Auth, which is on the page's own origin; its client (`better-auth/client`) sends the same requests. */
async function ask(path: string, body?: object): Promise<Response> {
  const headers = { "Content-Type": "application/json" };
  return fetch(`/api/auth/${path}`, body ? { method: "POST", headers, body: JSON.stringify(body) } : {});
}

export async function signUp(name: string, email: string, password: string): Promise<User> {
  return user(await ask("sign-up/email", { name, email, password }));
}

export async function signIn(email: string, password: string): Promise<User> {
  return user(await ask("sign-in/email", { email, password }));
}

export async function signOut(): Promise<void> {
  await ask("sign-out", {});
  forgetToken();
}

/** Who is signed in already, if anybody. */
export async function whoAmI(): Promise<User | undefined> {
  return (await (await ask("get-session")).json())?.user;
}

/** The body has a field called `token`, too: that is the session's, and not for the API. */
async function user(answer: Response): Promise<User> {
  forgetToken();
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message);
  return body.user;
}
// #endregion

// #region token
let token: string | undefined;
let session = 0; // another number for each who signs in or out

function forgetToken(): void {
  token = undefined;
  session += 1;
}

/** Better Auth is not set up for the API: trying again does not help. */
export class SetupError extends Error {}

/** Send a request with the token; without one where nobody is signed in. */
async function send(request: Request): Promise<Response> {
  const began = session;
  const sent = token ?? (await newToken());
  if (session === began) token = sent; // or else somebody has signed in or out meanwhile
  if (sent) request.headers.set("Authorization", `Bearer ${sent}`);
  const answer = await fetch(request);
  if (answer.status === 401 && token === sent) token = undefined;
  return answer;
}

async function newToken(): Promise<string | undefined> {
  const answer = await ask("token");
  if (answer.status === 401) return undefined;
  if (answer.status === 404) throw new SetupError("Better Auth has no /api/auth/token: add its plugin jwt().");
  if (!answer.ok) throw new Error("You can't be signed in right now. Please try again.");
  return (await answer.json()).token;
}

/** A token lives for 15 minutes: where one is refused, try a new one, once. */
export async function sendSignedIn(request: Request): Promise<Response> {
  const answer = await send(request.clone());
  return answer.status === 401 ? send(request) : answer;
}
// #endregion
