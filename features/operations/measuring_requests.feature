Feature: Measuring requests
  The people who run the service can see how many requests there are, how many are refused or fail, and how long they
  take. The address /metrics shows these metrics. Whatever is refused or fails is counted as an error,
  but for a browser's question whether a page may call.

  Rule: Requests, errors and response times are counted by method, endpoint and status
    The endpoint of an address that nobody has is called none.

    @AC-004 @R-40
    Scenario Outline: A request for <what> is counted
      Given Alice has the task "Buy milk"
      When Alice asks for <what> three times
      Then the metrics count 3 more requests by <method> to <endpoint> with the status <status>
      And the metrics count 3 more response times of <method> to <endpoint> with the status <status>
      And the metrics count <errors> more errors by <method> to <endpoint> with the status <status>

      Examples: Successes and errors
        | what                         | method | endpoint                       | status | errors |
        | her list                     | GET    | /api/{user_id}/tasks           | 200    | 0      |
        | her task                     | GET    | /api/{user_id}/tasks/{task_id} | 200    | 0      |
        | a task that does not exist   | GET    | /api/{user_id}/tasks/{task_id} | 404    | 3      |
        | somebody else's list         | GET    | /api/{user_id}/tasks           | 403    | 3      |
        | a new task                   | POST   | /api/{user_id}/tasks           | 201    | 0      |
        | a task with a wrong field    | POST   | /api/{user_id}/tasks           | 422    | 3      |
        | a replacement of her task    | PUT    | /api/{user_id}/tasks/{task_id} | 200    | 0      |
        | a completion of her task     | PATCH  | /api/{user_id}/tasks/{task_id} | 200    | 0      |
        | a deletion of her whole list | DELETE | /api/{user_id}/tasks           | 405    | 3      |

    @AC-004 @R-40
    Scenario: The response times are those that people wait for
      Given Alice has the task "Buy milk"
      When Alice asks for her list three times
      Then the response times that the metrics add up are some, and no longer than Alice has waited

    @AC-004 @R-40
    Scenario: A request to an address that nobody has is counted, and the address is not told
      Given Alice has the task "Buy milk"
      When Alice asks for an address that nobody has three times
      Then the metrics count 3 more requests by GET to none with the status 404
      And the metrics count 3 more errors by GET to none with the status 404

    @AC-004 @R-40
    Scenario: An error that nobody expected is counted
      Given a part of the service fails in a way that nobody expected
      When Alice asks for that part three times
      Then the metrics count 3 more requests by GET to /api/{user_id}/part with the status 500
      And the metrics count 3 more errors by GET to /api/{user_id}/part with the status 500

    @AC-004 @R-23 @R-40
    Scenario: The metrics name nobody, and no task
      Given Alice has the task "Buy milk"
      When Alice asks for her task three times
      Then the metrics have neither her name, nor the number or the title of the task

  Rule: It can be seen which version runs
    After an update the people who run the service look whether it is the new version that answers.

    @AC-004 @R-40
    Scenario: The metrics and the documentation name the version that runs
      When an operator reads the metrics and the documentation
      Then both name the version of the service that is installed
