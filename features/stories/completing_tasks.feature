@US-6
Feature: Completing tasks
  As a todo user
  I want to mark a task complete or reopen it
  So that I can see what is left

  Rule: A task can be completed and reopened, and keeps its text

    @AC-001
    Scenario: A completed task is done
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice completes the task "Buy milk"
      Then Alice sees exactly these details:
        | title    | description | state |
        | Buy milk | two litres  | done  |

    @AC-001
    Scenario: A reopened task is open again
      Given Alice has the tasks:
        | title    | description | state |
        | Buy milk | two litres  | done  |
      When Alice reopens the task "Buy milk"
      Then Alice sees exactly these details:
        | title    | description | state |
        | Buy milk | two litres  | open  |

    @AC-006 @R-09
    Scenario: Completing a task that is done changes nothing but the time of its last change
      Given Alice has the tasks:
        | title    | description | state |
        | Buy milk | two litres  | done  |
      When Alice completes the task "Buy milk"
      Then nothing about the task "Buy milk" has changed but the time of its last change

    @AC-004
    Scenario: A task that never existed can't be completed
      Given Alice has the task "Buy milk"
      When Alice tries to complete a task that never existed
      Then Alice is told "You have no such task."
      And the task "Buy milk" has not changed
