// #region list
import { api, sure, type Task } from "./client.js";

export interface Page {
  tasks: Task[];
  /** How many there are on all pages. */
  count: number;
  /** The query of the next page, or undefined on the last. */
  next: string | undefined;
}

/** A page of tasks, newest first: the first one, or the `next` of the page before. */
export async function listTasks(user_id: string, complete?: boolean, next?: string): Promise<Page> {
  const query = { limit: 10, ...(complete === undefined ? {} : { complete }) };
  const answer = await api.GET("/api/{user_id}/tasks", {
    params: { path: { user_id }, query },
    ...(next === undefined ? {} : { querySerializer: () => next }),
  });
  return { ...sure(answer), next: nextOf(answer.response) };
}

/** `Link: </api/alice/tasks?limit=10&after=5>; rel="next"`, of which the client needs the query. */
function nextOf(response: Response): string | undefined {
  return /<[^>?]*\?([^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
}
// #endregion

// #region create
/** Create a task; with the same key and the same title as often as need be, and it is there once. */
export async function createTask(user_id: string, title: string, key: string): Promise<Task> {
  return sure(
    await api.POST("/api/{user_id}/tasks", {
      params: { path: { user_id }, header: { "Idempotency-Key": key } },
      body: { title },
    }),
  );
}
// #endregion

// #region change
/** A task, and the tag of the state that was seen. */
export interface Seen {
  task: Task;
  tag: string;
}

export async function fetchTask({ user_id, id }: Task): Promise<Seen> {
  const answer = await api.GET("/api/{user_id}/tasks/{task_id}", { params: { path: { user_id, task_id: id } } });
  return { task: sure(answer), tag: strongTag(answer.response) };
}

/** A proxy that compresses makes the tag weak (`W/"…"`), which If-Match never takes; the state is the same. */
function strongTag(response: Response): string {
  return (response.headers.get("ETag") ?? "").replace(/^W\//, "");
}

/** Replace what was seen: 412 where another tab was faster. */
export async function replaceTask({ task, tag }: Seen, title: string, description: string | null): Promise<Task> {
  return sure(
    await api.PUT("/api/{user_id}/tasks/{task_id}", {
      params: { path: { user_id: task.user_id, task_id: task.id }, header: { "If-Match": tag } },
      body: { title, description, complete: task.complete },
    }),
  );
}

/** Change one field and leave the others, whoever has changed them. */
export async function completeTask({ user_id, id }: Task, complete: boolean): Promise<Task> {
  return sure(
    await api.PATCH("/api/{user_id}/tasks/{task_id}", {
      params: { path: { user_id, task_id: id } },
      body: { complete },
    }),
  );
}

export async function deleteTask({ user_id, id }: Task): Promise<void> {
  sure(await api.DELETE("/api/{user_id}/tasks/{task_id}", { params: { path: { user_id, task_id: id } } }));
}
// #endregion
