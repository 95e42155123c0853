Feature: Refusing bad input
  What can't be understood is refused with a reason, and never harms what is stored.

  Rule: What is not a task at all is refused as such

    @AC-003
    Scenario Outline: <what> can't be understood
      Given Alice has the task "Buy milk"
      When Alice tries to create a task by sending <what>
      Then Alice is told that the request makes no sense
      And Alice still has exactly the tasks "Buy milk"

      Examples: Not even wrong
        | what                          | why                                       |
        | nothing                       | there is nothing to read                  |
        | broken syntax                 | it can't be read                          |
        | broken letters                | it is not valid Unicode                   |
        | a number that is none         | "not a number" is no value                |
        | an endless number             | infinity is no value                      |
        | a number of 5,000 digits      | no program should have to read it         |
        | boxes in boxes, 30,000 deep   | no program should have to open them       |
        | a plain text                  | it does not say that it is a task         |
        | a form                        | it does not say that it is a task         |
        | something without a label     | it does not say what it is                |

    @AC-003
    Scenario Outline: <what> is no task
      Given Alice has the task "Buy milk"
      When Alice tries to create a task by sending <what>
      Then Alice is told that this is no task
      And Alice still has exactly the tasks "Buy milk"

      Examples: Readable, but something else
        | what                | why               |
        | a list              | a task has fields |
        | a mere text         | a task has fields |
        | "nothing" spelt out | a task has fields |

    @AC-003
    Scenario Outline: <what> is too much
      Given Alice has the task "Buy milk"
      When Alice tries to create a task by sending <what>
      Then Alice is told that it is too much
      And Alice still has exactly the tasks "Buy milk"

      Examples: Over the limit of 64 KiB
        | what                         | why                                       |
        | one byte more than allowed   | the limit is exact                        |
        | ten megabytes                | nobody writes such a task                 |
        | ten megabytes piece by piece | the length need not be told beforehand    |

    @AC-003
    Scenario: A task of exactly 64 KiB is read
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
