Feature: Failing well
  When something goes wrong, people are told so in words they can be shown, and nothing of the inside leaks.

  Rule: Every error has one shape and one readable sentence

    @AC-004
    Scenario: A place that does not exist
      Given Alice has the task "Buy milk"
      When a stranger tries to go to a place that does not exist
      Then the stranger is told that there is nothing there
      And Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: Something that can't be done there
      Given Alice has the task "Buy milk"
      When Alice tries to delete her whole list at once
      Then Alice is told that this can't be done there
      And Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: A web page of a stranger's may not ask
      When a page of evil.example asks whether it may call
      Then it is told no

    @AC-004
    Scenario: A person's own page can read a refusal
      When the frontend's page calls without a token
      Then the page may read the refusal

  Rule: Without its database the service says so, and loses nothing

    @AC-004
    Scenario: Alice can do nothing with her tasks while the database is stopped
      Given Alice has the task "Buy milk"
      And the database is stopped
      When Alice tries all of this at once, each on another device:
        | list the tasks |
        | create a task  |
        | open a task    |
        | replace a task |
        | change a task  |
        | delete a task  |
      Then Alice is told on each device to try again later
      And once the database is back, Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: The service can tell whether it can work
      Given the database is stopped
      When the load balancer asks whether the service is ready
      Then it is told that the service is up but not ready
      And once the database is back, it is told that the service is ready

  Rule: Nobody waits for ever

    @AC-004
    Scenario: Alice is not kept waiting while the database is silent
      Given Alice has the task "Buy milk"
      And the database has fallen silent
      When Alice tries all of this at once, each on another device:
        | list the tasks |
        | open a task    |
      Then Alice is told on each device within 2 seconds to try again later
      And once the database is back, Alice still has exactly the tasks "Buy milk"

    @AC-004
    Scenario: The load balancer is told of a silent database in time
      Given the database has fallen silent
      When the load balancer asks whether the service is ready
      Then it is told that the service is up but not ready
      And once the database is back, it is told that the service is ready

    @AC-004
    Scenario: Somebody else keeps the tasks locked
      Given Alice has the task "Buy milk"
      And somebody keeps all tasks locked
      When Alice tries to create a task in her list
      Then Alice is told within 2 seconds to try again later
      And nobody in the database goes on waiting for her
      And Alice still has exactly the tasks "Buy milk"

  Rule: Each answer can be found again in the log

    @AC-004
    Scenario: An answer carries the caller's own reference
      Given Alice has no tasks
      When Alice lists her tasks with the reference "order-66"
      Then the answer carries the reference "order-66"

    @AC-004
    Scenario: An answer gets a reference where the caller's could do harm
      Given Alice has no tasks
      When Alice lists her tasks with the reference "two words"
      Then the answer carries a reference of its own
