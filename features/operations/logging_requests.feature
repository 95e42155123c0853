Feature: Logging requests
  The people who run the service can find out what happened to any request, and learn nobody's secrets. The endpoint
  says what kind of address was asked, the method what was to be done there, and the status how that ended.

  Rule: Every request leaves one line in the log, and no secret
    A request that ends in something unreadable leaves two: one for what was begun, and one for the rest.


    @AC-004 @R-39
    Scenario Outline: A request for <what> leaves one line in the log
      Given Alice has the task "Buy milk"
      When Alice asks for <what>, with a secret in everything that she sends
      Then the log has exactly one line about it, with the method, the endpoint, the status <status> and Alice's id
      And the secret is nowhere in the log

      Examples: Whatever the outcome
        | what                          | status |
        | a new task                    | 201    |
        | her task                      | 200    |
        | her task that has not changed | 304    |
        | a replacement of her task     | 200    |
        | a deletion of her task        | 204    |
        | a task with a wrong field     | 422    |
        | somebody else's list          | 403    |
        | a task that does not exist    | 404    |
        | something unreadable          | 400    |
        | something that is too large   | 413    |

    @AC-004 @R-39
    Scenario: A failure of the database leaves one line too
      Given Alice has the task "Buy milk"
      And the database is stopped
      When Alice asks for a new task, with a secret in everything that she sends
      Then the log has exactly one line about it, with the method, the endpoint, the status 500 and Alice's id
      And the secret is nowhere in the log
      And once the database is back, Alice still has exactly the task "Buy milk"

    @AC-004 @R-38 @R-39
    Scenario: A forged token for a task leaves one line, which names neither a person nor the task
      Given Alice has the task "Buy milk"
      When Mallory asks for Alice's task with a forged token
      Then the log has exactly one line about it, with the method, the endpoint, the status 401 and nobody's id
      And the forged token is nowhere in the log

    @AC-004 @R-38 @R-39
    Scenario: A forged token leaves one line, which names nobody
      Given Alice has the task "Buy milk"
      When Mallory asks for Alice's list with a forged token
      Then the log has exactly one line about it, with the method, the endpoint, the status 401 and nobody's id
      And the forged token is nowhere in the log
