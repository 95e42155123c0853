Feature: Logging requests
  The people who run the service can find out what happened to any request, and learn nobody's secrets.

  Rule: Every request leaves one line in the log, and no secret

    @AC-004
    Scenario Outline: A request for <what> leaves one line in the log
      Given Alice has the task "Buy milk"
      When Alice asks for <what> with a secret in everything that she sends
      Then the log has exactly one line about it, which names Alice, the endpoint and the outcome: <outcome>
      And the secret is nowhere in the log

      Examples: Whatever the outcome
        | what                          | outcome      |
        | a new task                    | success      |
        | a task with a wrong field     | broken rule  |
        | somebody else's list          | not yours    |
        | a task that does not exist    | no such task |
        | something unreadable          | unreadable   |
        | something that is too large   | too large    |

    @AC-004
    Scenario: A failure of the database leaves one line too
      Given Alice has the task "Buy milk"
      And the database is stopped
      When Alice asks for a new task with a secret in everything that she sends
      Then the log has exactly one line about it, which names Alice, the endpoint and the outcome: our failure
      And the secret is nowhere in the log
      And once the database is back, Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: A forged token leaves one line, which names nobody
      Given Alice has the task "Buy milk"
      When Mallory asks for Alice's list with a forged token
      Then the log has exactly one line about it, which names nobody, the endpoint and the outcome: no token
      And the forged token is nowhere in the log
