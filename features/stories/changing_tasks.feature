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
        | title    | description | state |
        | Buy oats | one kilo    | done  |
      Then Alice sees exactly these details:
        | title    | description | state |
        | Buy oats | one kilo    | done  |
      And Alice now has exactly the task "Buy oats"

    @AC-001
    Scenario: A description that is left out is removed
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice replaces the task "Buy milk" with:
        | title    | state |
        | Buy milk | open  |
      Then the task "Buy milk" has no description and is open

    @AC-001
    Scenario: A task that is done can be replaced with one that is open
      Given Alice has the tasks:
        | title    | description | state |
        | Buy milk | two litres  | done  |
      When Alice replaces the task "Buy milk" with:
        | title    | state |
        | Buy milk | open  |
      Then the task "Buy milk" has no description and is open

    @AC-003 @R-03
    Scenario Outline: Replacing a task with one that has <what> is accepted
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice replaces the task "Buy milk" with one that has <what>
      Then Alice now has one task, as she wrote it but for spaces around its title

      Examples: What a new task may have
        | what                                         |
        | a title of one character                     |
        | a title of 200 characters with spaces around |
        | a title of 200 emoji                         |
        | a description of 1,000 emoji                 |
        | a description without characters             |
        | null as the description                      |
        | a title that looks like a page's code        |
        | a title with an accent written apart         |
        | a description with spaces around it          |
        | a description with line ends of two kinds    |

    @AC-006 @R-09 @R-12
    Scenario: Replacing a task twice in the same way changes only the time of its last change the second time
      Given Alice has the task "Buy milk"
      And Alice has replaced the task "Buy milk" with "Buy oats"
      When Alice replaces the task "Buy oats" with:
        | title    | state |
        | Buy oats | open  |
      Then nothing about the task "Buy oats" has changed but the time of its last change

    @AC-004 @R-12
    Scenario: Replacing never creates
      Given Alice has the task "Buy milk"
      When Alice tries to replace a task that never existed
      Then Alice is told "You have no such task."
      And Alice still has exactly the task "Buy milk"

  Rule: Changing a part leaves the rest alone

    @AC-001
    Scenario: A new title keeps the description
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice changes the title of "Buy milk" to "Buy oat milk"
      Then Alice sees exactly these details:
        | title        | description | state |
        | Buy oat milk | two litres  | open  |

    @AC-001
    Scenario: A new description keeps the title
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice changes the description of "Buy milk" to "three litres"
      Then Alice sees exactly these details:
        | title    | description  | state |
        | Buy milk | three litres | open  |

    @AC-001
    Scenario: A description can be cleared
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice clears the description of "Buy milk"
      Then the task "Buy milk" has no description and is open

    @AC-001
    Scenario: All parts can be changed at once
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice changes the task "Buy milk" to:
        | title    | description | state |
        | Buy oats | one kilo    | done  |
      Then Alice sees exactly these details:
        | title    | description | state |
        | Buy oats | one kilo    | done  |

    @AC-003 @R-03
    Scenario Outline: Changing a task to have <what> is accepted
      Given Alice has the task "Buy milk"
      When Alice changes the task "Buy milk" to have <what>
      Then Alice now has one task, as she wrote it but for spaces around its title

      Examples: What a new task may have
        | what                                         |
        | a title of one character                     |
        | a title of 200 characters with spaces around |
        | a title of 200 emoji                         |
        | a description of 1,000 emoji                 |
        | a description without characters             |
        | null as the description                      |
        | a title that looks like a page's code        |
        | a title with an accent written apart         |
        | a description with spaces around it          |
        | a description with line ends of two kinds    |

    @AC-004
    Scenario: Changing never creates
      Given Alice has the task "Buy milk"
      When Alice tries to change a task that never existed
      Then Alice is told "You have no such task."
      And Alice still has exactly the task "Buy milk"

  Rule: A change notes its time, and changes one task alone

    @AC-006
    Scenario: The time of the last change moves forward, and the time of creation stays
      Given Alice has the task "Buy milk"
      When Alice changes the title of "Buy milk" to "Buy oat milk"
      Then the task "Buy oat milk" was changed just now
      And the task "Buy oat milk" has kept the time of its creation

    @AC-006 @R-09
    Scenario: Changing a title to what it is already moves the time of the last change
      Given Alice has the task "Buy milk"
      When Alice changes the title of "Buy milk" to "Buy milk"
      Then nothing about the task "Buy milk" has changed but the time of its last change

    @AC-006 @R-09
    Scenario: Changing a description to what it is already moves the time of the last change
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice changes the description of "Buy milk" to "two litres"
      Then nothing about the task "Buy milk" has changed but the time of its last change

    @AC-006 @R-09
    Scenario: Replacing a task moves the time of its last change forward even if the clock was set back
      Given Alice has the task "Buy milk", last changed before the clock was set back by an hour
      When Alice replaces the task "Buy milk" with:
        | title    | state |
        | Buy oats | done  |
      Then the time of the last change of the task "Buy oats" has moved forward

    @AC-006 @R-09
    Scenario: The time of the last change moves forward even if the clock was set back
      Given Alice has the task "Buy milk", last changed before the clock was set back by an hour
      When Alice changes the title of "Buy milk" to "Buy oat milk"
      Then the time of the last change of the task "Buy oat milk" has moved forward
      And Alice now has exactly the task "Buy oat milk"

    @AC-006
    Scenario: Other tasks stay as they were
      Given Alice has the tasks "Buy milk", "Pay the rent"
      When Alice changes the title of "Buy milk" to "Buy oat milk"
      Then Alice now has exactly the tasks "Pay the rent", "Buy oat milk"
      And the task "Pay the rent" has not changed

  Rule: A change that breaks a rule changes nothing, and I am told which rule

    @AC-003 @R-22
    Scenario Outline: Replacing a task with one that has <what> is refused
      Given Alice has the task "Buy milk"
      When Alice tries to replace the task "Buy milk" with one that has <what>
      Then Alice is told "<sentence>"
      And the task "Buy milk" has not changed

      @R-01 @R-02
      Examples: A whole task has its title and its state, which is sent as complete
        | what                     | sentence                          | why                                         |
        | the title left out       | title: is required                |                                             |
        | the state left out       | complete: is required             | a whole task is open or done                |
        | a state of "yes"         | complete: must be a valid boolean | it is true or false, and not a word         |
        | a state that is a number | complete: must be a valid boolean |                                             |
        | null as the state        | complete: must be a valid boolean |                                             |
        | a misspelt field         | titel: is not known here          | a typing error must not be ignored silently |
        | two states               | complete: must appear only once   | which of them counts would be a guess       |

      @R-01 @R-02 @R-04
      Examples: Its texts keep to the rules of a new task
        | what                                          | sentence                                                   |
        | a title without characters                    | title: must have at least 1 character                      |
        | a title of nothing but spaces                 | title: must have at least 1 character                      |
        | a title of 201 characters                     | title: must have at most 200 characters                    |
        | null as the title                             | title: must be a valid string                              |
        | a title that is a number                      | title: must be a valid string                              |
        | a title with an invisible NUL character       | title: must not contain NUL                                |
        | a title with a broken character               | title: must be Unicode text, without lone surrogates       |
        | a description of 1,001 characters             | description: must have at most 1000 characters             |
        | a description that is a list                  | description: must be a valid string                        |
        | a description with an invisible NUL character | description: must not contain NUL                          |
        | a description with a broken character         | description: must be Unicode text, without lone surrogates |

      @R-02
      Examples: What the service gives can't be replaced
        | what                    | sentence                      |
        | an owner given by Alice | user_id: is not known here    |
        | a number given by Alice | id: is not known here         |
        | a time given by Alice   | updated_at: is not known here |

    @AC-003 @R-22
    Scenario Outline: Changing a task to have <what> is refused
      Given Alice has the task "Buy milk"
      When Alice tries to change the task "Buy milk" to have <what>
      Then Alice is told "<sentence>"
      And the task "Buy milk" has not changed

      @R-01 @R-04
      Examples: A part keeps to the same rules
        | what                                          | sentence                                                   | why                                 |
        | null as the title                             | title: must be a valid string                              | every task needs one                |
        | a title without characters                    | title: must have at least 1 character                      | every task needs one                |
        | a title of nothing but spaces                 | title: must have at least 1 character                      |                                     |
        | a title of 201 characters                     | title: must have at most 200 characters                    |                                     |
        | a title that is a number                      | title: must be a valid string                              |                                     |
        | a title with an invisible NUL character       | title: must not contain NUL                                | the database can't store it         |
        | a title with a broken character               | title: must be Unicode text, without lone surrogates       | one half of an emoji is not text    |
        | a description of 1,001 characters             | description: must have at most 1000 characters             |                                     |
        | a description that is a list                  | description: must be a valid string                        |                                     |
        | a description with an invisible NUL character | description: must not contain NUL                          | the database can't store it         |
        | a description with a broken character         | description: must be Unicode text, without lone surrogates | one half of an emoji is not text    |
        | null as the state                             | complete: must be a valid boolean                          |                                     |
        | a state of "yes"                              | complete: must be a valid boolean                          | it is true or false, and not a word |
        | a state that is a number                      | complete: must be a valid boolean                          |                                     |
        | a misspelt field                              | descripton: is not known here                              | a typo must not be ignored silently |
        | an owner given by Alice                       | user_id: is not known here                                 | a task can't be given away          |
        | a number given by Alice                       | id: is not known here                                      | a task keeps its number             |
        | a time given by Alice                         | updated_at: is not known here                              | the database notes the time         |

    @AC-003 @R-08
    Scenario: A change that says nothing of what to change is refused
      Given Alice has the task "Buy milk"
      When Alice tries to change the task "Buy milk" without saying what
      Then Alice is told "There is nothing to change: send at least one of title, description, complete."
      And the task "Buy milk" has not changed
