Feature: Leaving a trace
  The people who run the service can find out what happened to anybody's request, and learn nobody's secrets.

  Rule: Every request leaves one trace, and no secret

    @AC-004
    Scenario Outline: <what> leaves one trace
      Given Alice has the task "Buy milk"
      When Alice asks for <what> with a secret in all that she sends
      Then exactly one line in the log tells of it: that it was Alice, what it was and that it ended in <end>
      And the secret is nowhere in the log

      Examples: However it ends
        | what                        | end            | why                                     |
        | a new task                  | success        | what goes well is traced                |
        | a task with a wrong field   | broken rule    | a mistake is traced                     |
        | somebody else's list        | not yours      | an intrusion is traced                  |
        | a task that is not there    | no such task   | a miss is traced                        |
        | something unreadable        | makes no sense | nonsense is traced                      |
        | far too much                | too much       | an attack is traced                     |

    @AC-004
    Scenario: A failure of the database leaves one trace too
      Given Alice has the task "Buy milk"
      And the database is stopped
      When Alice asks for a new task with a secret in all that she sends
      Then exactly one line in the log tells of it: that it was Alice, what it was and that it ended in our failure
      And the secret is nowhere in the log
      And once the database is back, Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: A stranger with a forged token leaves one trace
      Given Alice has the task "Buy milk"
      When Mallory asks for Alice's list with a forged token
      Then exactly one line in the log tells of it: that it was nobody known, what it was and that it ended in no token
      And the forged token is nowhere in the log
