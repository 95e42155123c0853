// #region client
import createClient from "openapi-fetch";
import type { components, paths } from "./contract.js";
import { sendSignedIn, SetupError } from "./session.js";

export type Task = components["schemas"]["TaskResponse"];
export type Problem = components["schemas"]["Problem"];

export const api = createClient<paths>({
  baseUrl: document.documentElement.dataset["api"] ?? "",
  fetch: sendPatiently,
});
// #endregion

// #region retry
const TRIES = 3;

async function sendPatiently(request: Request): Promise<Response> {
  // a PUT, PATCH or DELETE that is done twice is done once; a POST only where its key says so
  const repeatable = request.method !== "POST" || request.headers.has("Idempotency-Key");
  for (let tries = 1; ; tries++) {
    const last = !repeatable || tries === TRIES;
    let seconds = 1;
    try {
      const answer = await sendSignedIn(request.clone());
      seconds = Number(answer.headers.get("Retry-After") ?? NaN);
      if (last || !(seconds <= 10)) return answer; // none, a date, or too long to wait for
    } catch (failure) {
      // otherwise there was no answer: offline, or cut off in the middle
      if (last || failure instanceof SetupError) throw failure;
    }
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}
// #endregion

// #region refusal
/** An answer that is not a success; its message can be shown as it is. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail);
  }
}

/** Something between the page and the service has answered instead, a proxy say: its body has another shape. */
const FOREIGN: Problem = {
  detail: "The tasks can't be reached right now. Please try again.",
  error_code: "INTERNAL_ERROR",
  timestamp: "",
};

/** The body of a success; every other answer is thrown as a Refusal. */
export function sure<T>(answer: { data?: T; error?: Problem; response: Response }): T {
  if (answer.response.ok) return answer.data as T;
  throw new Refusal(answer.response.status, answer.error?.error_code ? answer.error : FOREIGN);
}
// #endregion

// #region errors
export type Advice = "sign in" | "start over" | "mend" | "look again" | "leave out" | "try later";

/** What a page does about a refusal, beside showing its message. */
export function advice({ status, problem }: Refusal): Advice {
  switch (problem.error_code) {
    case "AUTH_MISSING":
    case "AUTH_INVALID":
      return "sign in"; // a new token has been tried already
    case "AUTH_FORBIDDEN":
      return "start over"; // somebody else has signed in in another tab
    case "VALIDATION_ERROR":
      return status === 412 ? "look again" : "mend"; // problem.errors says which field
    case "NOT_FOUND":
      return "leave out"; // it was deleted meanwhile
    case "DATABASE_ERROR":
    case "INTERNAL_ERROR":
      return "try later"; // the client has tried three times where Retry-After said so
    default:
      return unheardOf(problem.error_code);
  }
}

/** The compiler says so here when the contract has a code that the switch has not. */
function unheardOf(code: never): Advice {
  console.warn(`unknown error code ${code}`);
  return "try later";
}
// #endregion
