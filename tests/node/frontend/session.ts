// Better Auth, which this page comes from: who is signed in here, and the token for the API. Its own client sends the
// same requests.

export interface User {
  id: string;
  name: string;
}

// #region sign-in
async function ask(path: string, body?: object): Promise<Response> {
  const headers = { "Content-Type": "application/json" };
  return fetch(`/api/auth/${path}`, body ? { method: "POST", headers, body: JSON.stringify(body) } : {});
}

export async function signIn(email: string, password: string): Promise<User> {
  return user(await ask("sign-in/email", { email, password }));
}

/** Who is signed in already, if anybody. */
export async function whoAmI(): Promise<User | undefined> {
  return (await (await ask("get-session")).json())?.user;
}
// #endregion

export async function signUp(name: string, email: string, password: string): Promise<User> {
  return user(await ask("sign-up/email", { name, email, password }));
}

async function user(answer: Response): Promise<User> {
  forgetToken();
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message);
  return body.user;
}

export async function signOut(): Promise<void> {
  forgetToken();
  await ask("sign-out", {});
}

function forgetToken(): void {
  token = undefined;
}

// #region token
let token: string | undefined;

/** Send a request with the token; without one where nobody is signed in. */
async function send(request: Request): Promise<Response> {
  token ??= await newToken();
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  const answer = await fetch(request);
  if (answer.status === 401) token = undefined;
  return answer;
}

async function newToken(): Promise<string | undefined> {
  const answer = await ask("token");
  if (answer.status === 401) return undefined;
  if (!answer.ok) throw new Error("you can't be signed in right now; please try again");
  return (await answer.json()).token;
}

/** A token lives for 15 minutes: where one is refused, try a new one, once. */
export async function sendSignedIn(request: Request): Promise<Response> {
  const answer = await send(request.clone());
  return answer.status === 401 ? send(request) : answer;
}
// #endregion
