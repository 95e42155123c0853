Feature: Failing well
  When something goes wrong, people are told so in a sentence that they can read, and no internals are disclosed.

  Rule: Every error has one shape and one readable sentence

    @AC-004
    Scenario: An address that does not exist
      Given Alice has the task "Buy milk"
      When a stranger tries to open an address that does not exist
      Then the stranger is told that there is nothing there
      And Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: An action that is not supported
      Given Alice has the task "Buy milk"
      When Alice tries to delete her whole list at once
      Then Alice is told that this is not supported
      And Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: A page of another site may not call
      When a page of evil.example asks whether it may call
      Then it is told no

    @AC-004
    Scenario: The frontend's own page can read a refusal
      When the frontend's page calls without a token
      Then the page may read the refusal

  Rule: Without its database the service says so, and loses nothing

    @AC-004
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
      Then Alice is told on each device to try again later
      And once the database is back, Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: The service says whether it is ready
      Given the database is stopped
      When the load balancer asks whether the service is ready
      Then it is told that the service is up but not ready
      And once the database is back, it is told that the service is ready

  Rule: Nobody waits forever

    @AC-004
    Scenario: Alice is not kept waiting while the database is frozen
      Given Alice has the task "Buy milk"
      And the database is frozen
      When Alice tries to do all of this at once, each on another device:
        | list the tasks |
        | open a task    |
      Then Alice is told on each device within 2 seconds to try again later
      And once the database is back, Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: The load balancer is told of a frozen database in time
      Given the database is frozen
      When the load balancer asks whether the service is ready
      Then it is told that the service is up but not ready
      And once the database is back, it is told that the service is ready

    @AC-004
    Scenario: Somebody else holds a lock on the tasks
      Given Alice has the task "Buy milk"
      And somebody holds a lock on all tasks
      When Alice tries to create a task in her list
      Then Alice is told within 2 seconds to try again later
      And nothing of hers is left waiting in the database
      And Alice still has exactly the tasks "Buy milk"

  Rule: Each answer can be found in the log

    @AC-004
    Scenario: An answer carries the caller's own request id
      Given Alice has no tasks
      When Alice lists her tasks with the request id "order-66"
      Then the answer carries the request id "order-66"

    @AC-004
    Scenario: An answer gets a new request id where the caller's is not safe
      Given Alice has no tasks
      When Alice lists her tasks with the request id "two words"
      Then the answer carries a new request id
