@US-2
Feature: Creating tasks
  As a todo user
  I want to create a task
  So that I can add todos from any client

  Rule: A new task is mine, open, and kept as I wrote it

    @AC-001
    Scenario: A task needs no more than a title
      Given Alice has no tasks
      When Alice creates the task "Buy milk"
      Then Alice is shown the new task "Buy milk" and where to find it
      And the task "Buy milk" has no description and is open
      And Alice still has exactly the tasks "Buy milk"

    @AC-001
    Scenario: A task can have a description
      Given Alice has no tasks
      When Alice creates the task "Buy milk" with the description "two litres"
      Then Alice is shown the new task "Buy milk" and where to find it
      And the task "Buy milk" has the description "two litres"

    @AC-003
    Scenario: Spaces around a title are removed, and around a description they are kept
      Given Alice has no tasks
      When Alice creates the task "  Buy milk  " with the description "  two litres  "
      Then Alice is shown the new task "Buy milk" and where to find it
      And the task "Buy milk" has the description "  two litres  "

    @AC-003
    Scenario: Any language and any emoji fit into a title
      Given Alice has no tasks
      When Alice creates the task "買牛奶 🥛 لبن"
      Then Alice is shown the new task "買牛奶 🥛 لبن" and where to find it
      And Alice still has exactly the tasks "買牛奶 🥛 لبن"

    @AC-003
    Scenario Outline: <what> is still accepted
      Given Alice has no tasks
      When Alice creates a task with <what>
      Then Alice has one task, exactly as she wrote it

      Examples: Just within the limits
        | what                              | why                               |
        | a title of one character          |                                   |
        | a title of 200 characters         |                                   |
        | a title of 200 emoji              | characters are counted, not bytes |
        | a description of 1,000 characters |                                   |
        | an empty description              |                                   |

    @AC-006
    Scenario: The database notes when a task was created
      Given Alice has no tasks
      When Alice creates the task "Buy milk"
      Then the task "Buy milk" was created and changed just now

    @AC-006
    Scenario: A deleted task's number is never used again
      Given Alice has the task "Buy milk"
      And Alice has deleted the task "Buy milk"
      When Alice creates the task "Pay the rent"
      Then the task "Pay the rent" has a higher number than "Buy milk" had

  Rule: A task that breaks a rule is not created, and I am told which rule

    @AC-003
    Scenario Outline: A new task with <what> is refused
      Given Alice has the task "Water the plants"
      When Alice tries to create a task with <what>
      Then Alice is told that the "<field>" breaks a rule
      And Alice still has exactly the tasks "Water the plants"

      Examples: What a task must not be
        | what                                          | field       | why                                       |
        | no title                                      | title       |                                           |
        | an empty title                                | title       |                                           |
        | a title of nothing but spaces                 | title       | it is empty once the spaces are removed   |
        | a title of 201 characters                     | title       | 200 is the limit                          |
        | a title set to nothing                        | title       |                                           |
        | a title that is a number                      | title       |                                           |
        | a title with an invisible NUL character       | title       | the database can't store it               |
        | a title with a broken character               | title       | one half of an emoji is not text          |
        | two titles                                    | title       | which of them counts would be a guess     |
        | a description of 1,001 characters             | description | 1,000 is the limit                        |
        | a description that is a list                  | description |                                           |
        | a description with an invisible NUL character | description | the database can't store it               |
        | a description with a broken character         | description | one half of an emoji is not text          |
        | a misspelt field                              | descripton  | a typo must not be ignored silently       |
        | a state of its own                            | complete    | a new task is open                        |
        | an owner of its own                           | user_id     | a task belongs to the person who creates it |
        | a number of its own                           | id          | the database gives the numbers            |
