Feature: Refusing bad input
  What can't be read is refused with a reason, and never harms what is stored.

  Rule: A request that is not a task is refused as such

    @AC-003
    Scenario Outline: A request of <what> can't be read
      Given Alice has the task "Buy milk"
      When Alice tries to create a task by sending <what>
      Then Alice is told that the request can't be read
      And Alice still has exactly the tasks "Buy milk"

      Examples: Not JSON, or not declared as JSON
        | what                          | why                              |
        | an empty body                 |                                  |
        | broken JSON                   |                                  |
        | invalid UTF-8                 |                                  |
        | the number NaN                | JSON has no such number          |
        | the number -Infinity          | JSON has no such number          |
        | a number of 5,000 digits      | reading it would cost too much   |
        | lists nested 30,000 deep      | reading them would cost too much |
        | a task as plain text          | its content type is not JSON's   |
        | a form                        | its content type is not JSON's   |
        | a task without a content type |                                  |

    @AC-003
    Scenario Outline: A request of <what> is not a task
      Given Alice has the task "Buy milk"
      When Alice tries to create a task by sending <what>
      Then Alice is told that this is not a task
      And Alice still has exactly the tasks "Buy milk"

      Examples: Good JSON, but something else
        | what     |
        | a list   |
        | a string |
        | null     |

    @AC-003
    Scenario Outline: A request of <what> is too large
      Given Alice has the task "Buy milk"
      When Alice tries to create a task by sending <what>
      Then Alice is told that the request is too large
      And Alice still has exactly the tasks "Buy milk"

      Examples: Over the limit of 64 KiB
        | what                       | why                                |
        | one byte more than allowed | the limit is exact                 |
        | ten megabytes              |                                    |
        | ten megabytes in chunks    | its length is not known beforehand |

    @AC-003
    Scenario: A request of exactly 64 KiB is accepted
      Given Alice has no tasks
      When Alice creates a task padded to exactly 64 KiB
      Then Alice still has exactly the tasks "Buy milk"

  Rule: A refusal never repeats what was sent

    @AC-004
    Scenario: What Alice wrote is not in the answer
      Given Alice has no tasks
      When Alice tries to create a task with a secret in each wrong field
      Then Alice is told that the "title" breaks a rule
      And the answer does not contain the secret
      And Alice has no tasks
