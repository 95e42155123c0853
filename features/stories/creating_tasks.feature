@US-2
Feature: Creating tasks
  As a todo user
  I want to create a task
  So that I can add todos from any client

  Whoever creates a task is shown it, and told where to find it: each task has an address of its own.

  Rule: A new task is mine, open, and kept as I wrote it but for spaces around its title

    @AC-001
    Scenario: A task needs no more than a title
      Given Alice has no tasks
      When Alice creates the task "Buy milk"
      Then Alice is shown the new task "Buy milk" and where to find it
      And the task "Buy milk" has no description and is open
      And Alice now has exactly the task "Buy milk"

    @AC-001
    Scenario: A task can have a description
      Given Alice has no tasks
      When Alice creates the task "Buy milk" with the description "two litres"
      Then Alice is shown the new task "Buy milk" and where to find it
      And the task "Buy milk" has the description "two litres"

    @AC-003 @R-03
    Scenario: Spaces around a title are removed, and around a description they are kept
      Given Alice has no tasks
      When Alice creates the task "  Buy milk  " with the description "  two litres  "
      Then Alice is shown the new task "Buy milk" and where to find it
      And the task "Buy milk" has the description "  two litres  "

    @AC-003
    Scenario: A title may be in any language, and have emoji in it
      Given Alice has no tasks
      When Alice creates the task "買牛奶 🥛 لبن"
      Then Alice is shown the new task "買牛奶 🥛 لبن" and where to find it
      And Alice now has exactly the task "買牛奶 🥛 لبن"

    @AC-003 @R-03
    Scenario Outline: A new task with <what> is accepted
      Given Alice has no tasks
      When Alice creates a task with <what>
      Then Alice now has one task, as she wrote it but for spaces around its title

      Examples: Just within the limits
        | what                                         | why                                  |
        | a title of one character                     |                                      |
        | a title of 200 characters                    |                                      |
        | a title of 200 characters with spaces around | spaces around a title don't count    |
        | a title of 200 emoji                         | an emoji counts as one character     |
        | a description of 1,000 characters            |                                      |
        | a description of 1,000 emoji                 | an emoji counts as one character     |
        | a description without characters             | it is kept apart from no description |
        | null as the description                      | this is no description               |

      Examples: Text is kept as it is
        | what                                      | why                                 |
        | a title that looks like a page's code     | whoever shows it has to mind that   |
        | a title with an accent written apart      | it is not turned into one character |
        | a description with spaces around it       |                                     |
        | a description with line ends of two kinds |                                     |

  Rule: The database gives each new task its number and its times

    @AC-006
    Scenario: The database notes when a task was created
      Given Alice has no tasks
      When Alice creates the task "Buy milk"
      Then the task "Buy milk" was created and changed just now

    @AC-006
    Scenario: Numbers only rise, so that a deleted task's number is never used again
      Given Alice has the task "Buy milk"
      And Alice has deleted the task "Buy milk"
      When Alice creates the task "Pay the rent"
      Then the task "Pay the rent" has a higher number than "Buy milk" had

  Rule: A task that breaks a rule is not created, and I am told which rule
    Null is the word of apps for "nothing". NUL is an invisible character that ends a text in some programs. A broken
    character is one half of an emoji, which older programs store in two halves, known as surrogates.

    @AC-003 @R-22
    Scenario Outline: A new task with <what> is refused
      Given Alice has the task "Water the plants"
      When Alice tries to create a task with <what>
      Then Alice is told "<sentence>"
      And Alice still has exactly the task "Water the plants"

      Examples: A title has 1 to 200 characters, and a description at most 1,000
        | what                              | sentence                                       | why                                     |
        | the title left out                | title: is required                             |                                         |
        | a title without characters        | title: must have at least 1 character          |                                         |
        | a title of nothing but spaces     | title: must have at least 1 character          | it is empty once the spaces are removed |
        | a title of 201 characters         | title: must have at most 200 characters        |                                         |
        | a description of 1,001 characters | description: must have at most 1000 characters |                                         |

      @R-01 @R-04
      Examples: Both are text that can be stored
        | what                                          | sentence                                                   | why                              |
        | null as the title                             | title: must be a valid string                              |                                  |
        | a title that is a number                      | title: must be a valid string                              | 42 is not turned into "42"       |
        | a title with an invisible NUL character       | title: must not contain NUL                                | the database can't store it      |
        | a title with a broken character               | title: must be Unicode text, without lone surrogates       | one half of an emoji is not text |
        | a description that is a list                  | description: must be a valid string                        |                                  |
        | a description with an invisible NUL character | description: must not contain NUL                          | the database can't store it      |
        | a description with a broken character         | description: must be Unicode text, without lone surrogates | one half of an emoji is not text |

      @R-02
      Examples: Nothing else is taken, and nothing is dropped silently
        | what                    | sentence                      | why                                         |
        | a misspelt field        | descripton: is not known here | a typo must not be ignored silently         |
        | a state given by Alice  | complete: is not known here   | a new task is open                          |
        | an owner given by Alice | user_id: is not known here    | a task belongs to the person who creates it |
        | a number given by Alice | id: is not known here         | the database gives the numbers              |
        | two titles              | title: must appear only once  | which of them counts would be a guess       |

    @AC-003 @R-22
    Scenario: All that is wrong with one task is told at once
      Given Alice has the task "Water the plants"
      When Alice tries to create a task with a title without characters and a misspelt field
      Then Alice is told "title: must have at least 1 character; descripton: is not known here"
      And Alice still has exactly the task "Water the plants"

    @AC-003 @R-22
    Scenario: However much is wrong with one task, it is told at once
      Given Alice has the task "Water the plants"
      When Alice tries to create a task with a title without characters and four misspelt fields
      Then Alice is told "title: must have at least 1 character; a: is not known here; b: is not known here; c: is not known here; d: is not known here"
      And Alice still has exactly the task "Water the plants"
