Feature: Refusing bad input
  An app sends a task in the body of its request. It is written in JSON, a notation for data, and says so: a new task is
  an object such as {"title": "Buy milk"}. What can't be read, or is no task, is refused with a reason, and never harms
  what is stored.

  Rule: A request that is not a task is refused as such

    @AC-003 @R-08
    Scenario Outline: A new task sent as <what> is refused
      Given Alice has the task "Buy milk"
      When Alice tries to create a task by sending <what>
      Then Alice is told "<sentence>"
      And Alice still has exactly the task "Buy milk"

      Examples: Not JSON, or not worth reading
        | what                       | sentence                               | why                              |
        | an empty body              | The body is empty.                     |                                  |
        | broken JSON                | The body is not valid JSON.            |                                  |
        | invalid UTF-8              | The body is not valid JSON.            |                                  |
        | the number NaN             | The body is not valid JSON.            | JSON has no such number          |
        | the number Infinity        | The body is not valid JSON.            | JSON has no such number          |
        | the number -Infinity       | The body is not valid JSON.            | JSON has no such number          |
        | a number of 5,000 digits   | The body is not valid JSON.            | reading it would cost too much   |
        | lists nested 30,000 deep   | The body is nested more than 100 deep. | reading them would cost too much |
        | objects nested 10,000 deep | The body is nested more than 100 deep. | reading them would cost too much |

      Examples: Not declared as JSON
        | what                         | sentence                                   |
        | plain text                   | The content type must be application/json. |
        | a web form                   | The content type must be application/json. |
        | JSON that is not called JSON | The content type must be application/json. |

      Examples: Good JSON, but no task
        | what     | sentence                |
        | a list   | body: must be an object |
        | a string | body: must be an object |
        | null     | body: must be an object |

    @AC-003 @R-10
    Scenario Outline: A request of <what> is too large
      Given Alice has the task "Buy milk"
      When Alice tries to create a task by sending <what>
      Then Alice is told "The body must have at most 64 KiB."
      And Alice still has exactly the task "Buy milk"

      Examples: Over the limit of 64 KiB, which is 65,536 bytes
        | what                       | why                               |
        | one byte more than allowed | the limit is exact                |
        | ten megabytes              |                                   |
        | ten megabytes in chunks    | its length is not told beforehand |

    @AC-003 @R-08
    Scenario Outline: A new task declared as <type> is accepted
      Given Alice has no tasks
      When Alice creates the task "Buy milk", declared as <type>
      Then Alice now has exactly the task "Buy milk"

      Examples: JSON in all its spellings
        | type                            |
        | application/json                |
        | application/json; charset=utf-8 |
        | APPLICATION/JSON                |

    @AC-003 @R-10
    Scenario: A request of exactly 64 KiB is accepted
      Given Alice has no tasks
      When Alice creates the task "Buy milk", filled up with spaces to exactly 64 KiB
      Then Alice now has exactly the task "Buy milk"

    @AC-003 @R-08 @R-10
    Scenario Outline: An attempt to <action> by sending <what> is refused
      Given Alice has the task "Buy milk"
      When Alice tries to <action> by sending <what>
      Then Alice is told "<sentence>"
      And the task "Buy milk" has not changed

      Examples: Changes keep to the same rules as new tasks
        | action         | what                       | sentence                                   |
        | replace a task | an empty body              | The body is empty.                         |
        | replace a task | broken JSON                | The body is not valid JSON.                |
        | replace a task | a web form                 | The content type must be application/json. |
        | replace a task | a list                     | body: must be an object                    |
        | replace a task | one byte more than allowed | The body must have at most 64 KiB.         |
        | replace a task | ten megabytes in chunks    | The body must have at most 64 KiB.         |
        | change a task  | an empty body              | The body is empty.                         |
        | change a task  | broken JSON                | The body is not valid JSON.                |
        | change a task  | a web form                 | The content type must be application/json. |
        | change a task  | a list                     | body: must be an object                    |
        | change a task  | one byte more than allowed | The body must have at most 64 KiB.         |
        | change a task  | ten megabytes in chunks    | The body must have at most 64 KiB.         |

  Rule: Where several of sign-in, list, request and task are wrong, only the first is told
    They are checked in this order: https (in production), the token, whose list it is, what was sent, and whether there
    is such a task. Of one task all wrong fields are told at once: up to twenty of them, and then how many more there are.

    @AC-003 @R-11
    Scenario Outline: Of several faults the first is told: <what>
      Given Alice has the task "Buy milk"
      When <who> tries to send <what>
      Then <who> is told "<sentence>"
      And Alice still has exactly the task "Buy milk"

      Examples: Two faults, or more
        | who        | what                                                             | sentence                                   |
        | A stranger | something unreadable and too large to an address that nobody has | Sign in first: no bearer token was sent.   |
        | A stranger | a deletion of Alice's whole list                                 | Sign in first: no bearer token was sent.   |
        | Bob        | something unreadable for a task of Alice's that never existed    | You have no access to another user's data. |
        | Bob        | a question for a page of Alice's list with a limit of zero       | You have no access to another user's data. |
        | Alice      | a question for a page of her list with a limit of zero           | limit: must be greater than or equal to 1  |
        | Alice      | something unreadable for a task that never existed               | The body is not valid JSON.                |
        | Alice      | something too large for a task that never existed                | The body must have at most 64 KiB.         |
        | Alice      | a wrong field for a task that never existed                      | titel: is not known here                   |
        | Alice      | a good change for a task that never existed                      | You have no such task.                     |

  Rule: A refusal repeats nothing that was sent but the first 64 characters of an unknown field's name

    @AC-004 @R-23
    Scenario: What Alice wrote into the fields is not in the answer
      Given Alice has no tasks
      When Alice tries to create a task with a secret in each wrong field
      Then Alice is told "title: must be a valid string; description: must be a valid string; complete: is not known here"
      And the secret is nowhere in the answer
      And Alice still has no tasks

    @AC-004 @R-23
    Scenario: The name of an unknown field is repeated, and no more than 64 characters of it
      Given Alice has no tasks
      When Alice tries to create a task with an unknown field whose name has 1,000 characters
      Then Alice is told "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: is not known here"
      And Alice still has no tasks

    @AC-004 @R-23
    Scenario: No more than 64 characters of a name that appears twice are repeated
      Given Alice has no tasks
      When Alice tries to create a task with an unknown field twice, whose name has 1,000 characters
      Then Alice is told "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: must appear only once"
      And Alice still has no tasks
