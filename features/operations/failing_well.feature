Feature: Failing well
  When something goes wrong, people are told so in a sentence that they can read, and no internals are disclosed.

  A load balancer, which spreads requests over several services, asks each of them whether it is up, which it is while
  it runs, and whether it is ready, which it is while it reaches its database.

  Rule: Every error has one shape and one readable sentence

    @AC-004 @R-22
    Scenario: An address outside the lists, where there is nothing, is told as such
      Given Alice has the task "Buy milk"
      When a stranger tries to open an address outside the lists, where there is nothing
      Then the stranger is told "There is nothing at this address."
      And Alice still has exactly the task "Buy milk"

    @AC-004 @R-22
    Scenario: A list can't be deleted as a whole
      Given Alice has the task "Buy milk"
      When Alice tries to delete her whole list at once
      Then Alice is told "This method is not allowed here."
      And the answer says that a list can be read and added to
      And Alice still has exactly the task "Buy milk"

    @AC-004 @R-22
    Scenario: Nothing can be added to a task
      Given Alice has the task "Buy milk"
      When Alice tries to add a task to the task "Buy milk"
      Then Alice is told "This method is not allowed here."
      And the answer says that a task can be read, replaced, changed and deleted
      And Alice still has exactly the task "Buy milk"

    @AC-004 @R-12
    Scenario: Asking for the headers of a list alone is refused like any unsupported action
      Given Alice has the task "Buy milk"
      When Alice tries to ask for the headers of her list alone
      Then Alice gets the refusal that any unsupported action gets
      And Alice still has exactly the task "Buy milk"

    @AC-004 @R-22 @R-23
    Scenario: An error that nobody expected is named in the log, and not to Alice
      Given a part of the service fails in a way that nobody expected
      And Alice has the task "Buy milk"
      When Alice tries to use that part
      Then Alice is told "Something went wrong; please try again later."
      And the log, and it alone, names the failure
      And Alice still has exactly the task "Buy milk"

  Rule: Without its database the service says so, and loses nothing

    @AC-004 @R-20 @R-23 @R-42
    Scenario: Alice can do nothing with her tasks while the database is stopped
      Given Alice has the task "Buy milk"
      And the database is stopped
      When Alice tries to do all of this at once, each on another device:
        | list the tasks |
        | create a task  |
        | open a task    |
        | replace a task |
        | change a task  |
        | delete a task  |
      Then Alice is told on each device within 5 seconds "Your data can't be reached right now; please try again."
      And once the database is back, Alice still has exactly the task "Buy milk"

    @AC-004 @R-42
    Scenario: While the database is stopped the service is up, and not ready
      Given the database is stopped
      When the load balancer asks whether the service is up, and whether it is ready
      Then it is told at once that the service is up, and within 2 seconds that it is not ready
      And once the database is back, it is told that the service is ready

  Rule: Nobody waits for more than 5 seconds
    Whoever sends a task or a change to a frozen database is told the same as who looks, and it may be made all the same
    once the database goes on. A new task that is sent again with its Idempotency-Key is not created twice.

    @AC-004 @R-20 @R-42
    Scenario: Alice is not kept waiting while the database is frozen
      Given Alice has the task "Buy milk"
      And the database is frozen
      When Alice tries to do all of this at once, each on another device:
        | list the tasks |
        | open a task    |
      Then Alice is told on each device within 5 seconds "Your data can't be reached right now; please try again."
      And once the database is back, Alice still has exactly the task "Buy milk"

    @AC-004 @R-42
    Scenario: The load balancer is told of a frozen database in time
      Given the database is frozen
      When the load balancer asks whether the service is up, and whether it is ready
      Then it is told at once that the service is up, and within 2 seconds that it is not ready
      And once the database is back, it is told that the service is ready

    @AC-004 @R-42
    Scenario: Alice is not kept waiting while somebody else holds a lock on the tasks
      Given Alice has the task "Buy milk"
      And somebody holds a lock on all tasks
      When Alice tries to create a task in her list
      Then Alice is told within 5 seconds "Your data can't be reached right now; please try again."
      And nothing of hers is left waiting in the database
      And Alice still has exactly the task "Buy milk"

  Rule: Each answer can be found in the log
    An answer's request id is a text that stands in its line of the log too. Callers may choose it.

    @AC-004 @R-25
    Scenario: An answer carries the caller's own request id
      Given Alice has no tasks
      When Alice lists her tasks with the request id "order-66"
      Then the answer carries the request id "order-66", and so does its line in the log

    @AC-004 @R-25
    Scenario Outline: An answer gets a request id of its own where the caller <sends>
      Given Alice has no tasks
      When Alice lists her tasks twice with <request id>
      Then each answer carries a new request id, and so does its line in the log

      Examples: Safe ids have 1 to 64 letters, digits, dots, underscores or hyphens
        | sends                      | request id                 |
        | sends none                 | no request id              |
        | sends one that is not safe | the request id "two words" |
        | sends one that is too long | a request id of 65 letters |
        | sends an empty one         | the request id ""          |

    @AC-004 @R-25
    Scenario Outline: A caller's request id may have <what>
      Given Alice has no tasks
      When Alice lists her tasks with the request id "<request id>"
      Then the answer carries the request id "<request id>", and so does its line in the log

      Examples: Of each kind of character, and up to the limit
        | what                          | request id                                                       |
        | dots, underscores and hyphens | Order_66.b-7                                                     |
        | one letter                    | x                                                                |
        | 64 letters                    | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx |

  Rule: Every answer about tasks says how it may be kept, and nothing that it need not
    Headers are what an answer says about itself, apart from what was asked for. What can't even be read as
    a request is about no tasks yet.

    @AC-004 @R-25
    Scenario Outline: The headers of <answer> are those of every answer, and its own
      Given Alice has the task "Buy milk"
      When the service gives <answer>
      Then the answer carries a request id, "Cache-Control: private, no-cache", "X-Content-Type-Options: nosniff" and "Vary: Origin"
      And beside these it carries exactly <headers>

      Examples: Every kind of answer
        | answer                                | headers                                        |
        | a list                                | no more headers                                |
        | a page of a longer list               | Link                                           |
        | a task                                | ETag                                           |
        | a new task                            | ETag, Location                                 |
        | a changed task                        | ETag                                           |
        | the news that a task has not changed  | ETag                                           |
        | the confirmation of a deletion        | no more headers                                |
        | a refusal for want of a token         | WWW-Authenticate: Bearer                       |
        | a refusal of a bad token              | WWW-Authenticate: Bearer error="invalid_token" |
        | a refusal of somebody else's list     | no more headers                                |
        | a refusal of something unreadable     | no more headers                                |
        | a refusal of something too large      | no more headers                                |
        | a refusal of a wrong field            | no more headers                                |
        | a refusal of a task that is not there | no more headers                                |
        | a refusal of an older version         | no more headers                                |
        | a refusal of an unsupported action    | Allow: GET, POST                               |

    @AC-004 @R-25
    Scenario: The headers of a failure of the database say when to try again
      Given Alice has the task "Buy milk"
      And the database is stopped
      When the service is asked for a list
      Then the answer carries a request id, "Cache-Control: private, no-cache", "X-Content-Type-Options: nosniff" and "Vary: Origin"
      And beside these it carries exactly Retry-After: 1
