@US-4
Feature: Changing tasks
  As a todo user
  I want to update a task, as a whole or in part
  So that I can correct its title, description or state

  Rule: Replacing a task replaces all of it

    @AC-001
    Scenario: The new text and state take the place of the old
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice replaces the task "Buy milk" with:
        | title    | description | complete |
        | Buy oats | one kilo    | yes      |
      Then Alice sees exactly these details:
        | title    | description | complete |
        | Buy oats | one kilo    | yes      |
      And Alice still has exactly the tasks "Buy oats"

    @AC-001
    Scenario: A description that is left out is removed
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice replaces the task "Buy milk" with:
        | title    | complete |
        | Buy milk | no       |
      Then the task "Buy milk" has no description and is open

    @AC-006
    Scenario: Replacing a task with the same values again leaves it the same
      Given Alice has the task "Buy milk"
      And Alice has replaced the task "Buy milk" with "Buy oats"
      When Alice replaces the task "Buy oats" with:
        | title    | complete |
        | Buy oats | no       |
      Then Alice still has exactly the tasks "Buy oats"
      And the task "Buy oats" was changed later than before

    @AC-004
    Scenario: Replacing never creates
      Given Alice has the task "Buy milk"
      When Alice tries to replace a task that never existed
      Then Alice is told that there is no such task
      And Alice still has exactly the tasks "Buy milk"

  Rule: Changing a part leaves the rest alone

    @AC-001
    Scenario: A new title keeps the description
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice changes the title of "Buy milk" to "Buy oat milk"
      Then Alice sees exactly these details:
        | title        | description | complete |
        | Buy oat milk | two litres  | no       |

    @AC-001
    Scenario: A new description keeps the title
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice changes the description of "Buy milk" to "three litres"
      Then Alice sees exactly these details:
        | title    | description  | complete |
        | Buy milk | three litres | no       |

    @AC-001
    Scenario: A description can be cleared
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice clears the description of "Buy milk"
      Then the task "Buy milk" has no description and is open

    @AC-004
    Scenario: Changing never creates
      Given Alice has the task "Buy milk"
      When Alice tries to change a task that never existed
      Then Alice is told that there is no such task
      And Alice still has exactly the tasks "Buy milk"

  Rule: A change notes its time, and changes one task alone

    @AC-006
    Scenario: The time of the last change moves forward
      Given Alice has the task "Buy milk"
      When Alice changes the title of "Buy milk" to "Buy oat milk"
      Then the task "Buy oat milk" was changed later than before
      And the task "Buy oat milk" has kept the time of its creation

    @AC-006
    Scenario: It moves forward even if the new title equals the old one
      Given Alice has the task "Buy milk"
      When Alice changes the title of "Buy milk" to "Buy milk"
      Then the task "Buy milk" was changed later than before

    @AC-006
    Scenario: Other tasks stay as they were
      Given Alice has the tasks "Buy milk", "Pay the rent"
      When Alice changes the title of "Buy milk" to "Buy oat milk"
      Then Alice still has exactly the tasks "Pay the rent", "Buy oat milk"
      And the task "Pay the rent" has not changed

  Rule: A change that breaks a rule changes nothing, and I am told which rule

    @AC-003
    Scenario Outline: Replacing a task with one that has <what> is refused
      Given Alice has the task "Buy milk"
      When Alice tries to replace the task "Buy milk" with one that has <what>
      Then Alice is told that the "<field>" breaks a rule
      And the task "Buy milk" has not changed

      Examples: A whole task has its title and its state
        | what                      | field    | why                                   |
        | no title                  | title    |                                       |
        | no state                  | complete | a whole task is open or done          |
        | a state of "yes"          | complete | it is true or false                   |
        | a state that is a number  | complete | it is true or false                   |
        | a state set to nothing    | complete | it is true or false                   |
        | a title of 201 characters | title    | 200 is the limit                      |
        | a misspelt field          | titel    | a typo must not be ignored silently   |
        | two states                | complete | which of them counts would be a guess |

    @AC-003
    Scenario Outline: Changing a task to have <what> is refused
      Given Alice has the task "Buy milk"
      When Alice tries to change the task "Buy milk" to have <what>
      Then Alice is told that the "<field>" breaks a rule
      And the task "Buy milk" has not changed

      Examples: A part keeps to the same rules
        | what                                    | field       | why                              |
        | a title set to nothing                  | title       | every task needs one             |
        | an empty title                          | title       | every task needs one             |
        | a title with an invisible NUL character | title       | the database can't store it      |
        | a title with a broken character         | title       | one half of an emoji is not text |
        | a description of 1,001 characters       | description | 1,000 is the limit               |
        | a state set to nothing                  | complete    | it is true or false              |
        | a state of "yes"                        | complete    | it is true or false              |
        | an owner of its own                     | user_id     | a task can't be given away       |
        | a time of its own                       | updated_at  | the database notes the time      |

    @AC-003
    Scenario: A change of nothing is refused
      Given Alice has the task "Buy milk"
      When Alice tries to change nothing about the task "Buy milk"
      Then Alice is told that there is nothing to change
      And the task "Buy milk" has not changed
