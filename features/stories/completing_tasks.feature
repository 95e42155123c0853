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
        | title    | description | complete |
        | Buy milk | two litres  | yes      |

    @AC-001
    Scenario: A reopened task is open again
      Given Alice has the tasks:
        | title    | description | complete |
        | Buy milk | two litres  | yes      |
      When Alice reopens the task "Buy milk"
      Then Alice sees exactly these details:
        | title    | description | complete |
        | Buy milk | two litres  | no       |

    @AC-006
    Scenario: Completing a completed task does no harm
      Given Alice has the tasks:
        | title    | complete |
        | Buy milk | yes      |
      When Alice completes the task "Buy milk"
      Then Alice sees exactly these details:
        | title    | description | complete |
        | Buy milk |             | yes      |
      And the task "Buy milk" was changed later than before

    @AC-004
    Scenario: A task that never existed can't be completed
      Given Alice has the task "Buy milk"
      When Alice tries to complete a task that never existed
      Then Alice is told that there is no such task
      And the task "Buy milk" has not changed
