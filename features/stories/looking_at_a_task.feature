@US-3
Feature: Looking at a task
  As a todo user
  I want to fetch one task
  So that I can look at its details

  Rule: I can look at any of my tasks

    @AC-001
    Scenario: A task shows all its details
      Given Alice has the tasks:
        | title        | description | complete |
        | Buy milk     | two litres  | yes      |
        | Pay the rent |             | no       |
      When Alice opens the task "Buy milk"
      Then Alice sees exactly these details:
        | title    | description | complete |
        | Buy milk | two litres  | yes      |

  Rule: A task that is not there can't be looked at

    @AC-004
    Scenario: A task that never existed
      Given Alice has the task "Buy milk"
      When Alice tries to open a task that never existed
      Then Alice is told that there is no such task
      And the task "Buy milk" has not changed

    @AC-004
    Scenario: A task that was deleted
      Given Alice has the task "Buy milk"
      And Alice has deleted the task "Buy milk"
      When Alice tries to open the task "Buy milk"
      Then Alice is told that there is no such task
      And Alice has no tasks

    @AC-003
    Scenario Outline: <what> is not a task's number
      Given Alice has the task "Buy milk"
      When Alice tries to open the task numbered <what>
      Then Alice is told that the "task_id" breaks a rule
      And the task "Buy milk" has not changed

      Examples: What is not a number, or too small or too large
        | what                       | why                              |
        | 0                          | numbers start at one             |
        | -1                         | numbers start at one             |
        | 9223372036854775808        | one more than the largest number |
        | abc                        |                                  |
        | 1.5                        |                                  |
        | 1.0                        | digits only                      |
        | 1_0                        | digits only                      |
        | an invisible NUL character |                                  |
        | a broken character         |                                  |
