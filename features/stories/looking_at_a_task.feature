@US-3
Feature: Looking at a task
  As a todo user
  I want to fetch one task
  So that I can look at its details

  Rule: I can look at any of my tasks

    @AC-001
    Scenario: A task shows all its details
      Given Alice has the tasks:
        | title        | description | state |
        | Buy milk     | two litres  | done  |
        | Pay the rent |             | open  |
      When Alice opens the task "Buy milk"
      Then Alice sees exactly these details:
        | title    | description | state |
        | Buy milk | two litres  | done  |
      And Alice sees the number and the times of the task, as they are stored

  Rule: A task that is not there can't be looked at

    @AC-004
    Scenario: A task that never existed can't be opened
      Given Alice has the task "Buy milk"
      When Alice tries to open a task that never existed
      Then Alice is told "You have no such task."
      And Alice still has exactly the task "Buy milk"

    @AC-004
    Scenario: A task that was deleted can't be opened
      Given Alice has the task "Buy milk"
      And Alice has deleted the task "Buy milk"
      When Alice tries to open the task "Buy milk"
      Then Alice is told "You have no such task."
      And Alice still has no tasks

    @AC-003 @R-06
    Scenario Outline: <what> is not a task's number
      Given Alice has the task "Buy milk"
      When Alice tries to open a task whose number is given as <what>
      Then Alice is told "<sentence>"
      And Alice still has exactly the task "Buy milk"

      Examples: Too small or too large
        | what                | sentence                                                   | why                              |
        | 0                   | task_id: must be greater than or equal to 1                |                                  |
        | 9223372036854775808 | task_id: must be less than or equal to 9223372036854775807 | one more than the largest number |

      @R-04
      Examples: Not a number, or not written in digits alone
        | what                       | sentence                                   | why                                               |
        | -1                         | task_id: must be a whole number, in digits |                                                   |
        | abc                        | task_id: must be a whole number, in digits |                                                   |
        | 1.5                        | task_id: must be a whole number, in digits |                                                   |
        | 1.0                        | task_id: must be a whole number, in digits | 1.0 is not taken for 1                            |
        | 1_0                        | task_id: must be a whole number, in digits | some languages read it as 10                      |
        | an invisible NUL character | task_id: must be a whole number, in digits |                                                   |
        | a broken character         | task_id: must be a whole number, in digits | one half of an emoji is not text                  |
