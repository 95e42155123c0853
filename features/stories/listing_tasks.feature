@US-1
Feature: Listing tasks
  As a todo user
  I want to list my tasks
  So that I can see my todo list in any client

  A task has a title, a description or none, and a state: it is open or done. Apps send the state as `complete`: false
  is open, true is done. The service adds a number, the time of the task's creation and the time of its last change.

  In these features Alice and Bob are people with lists of their own, and a stranger is somebody who has not signed in.
  Mallory is somebody who forges what the service trusts. The operator runs the service.

  Rule: My list shows all my tasks, the newest first

    @AC-001 @R-14
    Scenario: The newest task comes first
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum", created in this order
      When Alice lists her tasks
      Then Alice sees the tasks "Call Mum", "Pay the rent", "Buy milk" in this order
      And Alice is told that the total is 3

    @AC-001
    Scenario: A person without tasks sees an empty list
      Given Alice has no tasks
      When Alice lists her tasks
      Then Alice sees an empty list
      And Alice is told that the total is 0

    @AC-003
    Scenario: Every task on the list shows all its details
      Given Alice has the tasks:
        | title        | description | state |
        | Buy milk     | two litres  | open  |
        | Pay the rent |             | done  |
      When Alice lists her tasks
      Then Alice sees exactly these details:
        | title        | description | state |
        | Pay the rent |             | done  |
        | Buy milk     | two litres  | open  |
      And Alice sees the number and the times of each task, as they are stored

  Rule: I can narrow the list to what is open or what is done

    @AC-001 @R-15 @R-16
    Scenario Outline: Only the tasks that are <state> are listed when I ask for them
      Given Alice has the tasks:
        | title        | state |
        | Buy milk     | open  |
        | Pay the rent | done  |
        | Call Mum     | open  |
      When Alice lists her tasks that are <state>
      Then Alice sees the tasks <tasks> in this order
      And Alice is told that the total is <count>

      Examples: Each state shows its own
        | state | tasks                  | count |
        | open  | "Call Mum", "Buy milk" | 2     |
        | done  | "Pay the rent"         | 1     |

  Rule: A long list comes in pages, and whoever turns them sees each task that stays on the list exactly once

    @AC-001 @R-15 @R-17
    Scenario Outline: A list of <total> tasks, <size> to a page, ends on page <pages>
      Given Alice has <total> tasks
      When Alice lists her tasks <size> at a time
      Then Alice has seen each of her tasks once, and page <pages> was the last

      Examples: The last page may be full, short or the only one
        | total | size | pages | why                         |
        | 5     | 2    | 3     | the last page is short      |
        | 4     | 2    | 2     | the last page is full       |
        | 3     | 500  | 1     | everything fits on one page |

    @AC-001 @R-17
    Scenario: The pages of what is done hold nothing else
      Given Alice has 5 tasks, of which the first, the third and the fifth are done
      When Alice lists her tasks that are done, 2 at a time
      Then Alice has seen 3 tasks that are done, and page 2 was the last

    @AC-001 @R-16 @R-17
    Scenario: The pages of what is open hold nothing else
      Given Alice has 5 tasks, of which the first, the third and the fifth are done
      When Alice lists her tasks that are open, 1 at a time
      Then Alice has seen 2 tasks that are open, and page 2 was the last

    @AC-001 @R-15 @R-16
    Scenario: I get the 500 newest tasks if I don't say how many I want
      Given Alice has 501 tasks
      When Alice lists her tasks
      Then Alice sees the 500 newest of her tasks
      And Alice is told that the total is 501
      And Alice is given a link to the next page

    @AC-001 @R-17
    Scenario: A list of just 500 tasks has no next page
      Given Alice has 500 tasks
      When Alice lists her tasks
      Then Alice sees the 500 newest of her tasks
      And Alice is given no link to a next page

    @AC-001 @R-17
    Scenario: A task added while I page does not push another one off its page
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum", "Book a table", created in this order
      And Alice has looked at the first 2 of her tasks
      And since then Alice has created the task "Water the plants"
      When Alice turns to the next page
      Then Alice sees the tasks "Pay the rent", "Buy milk" in this order

    @AC-001 @R-17
    Scenario: A task deleted while I page takes no other one with it
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum", "Book a table", created in this order
      And Alice has looked at the first 2 of her tasks
      And since then Alice has deleted the task "Call Mum"
      When Alice turns to the next page
      Then Alice sees the tasks "Pay the rent", "Buy milk" in this order

    @AC-001 @R-15 @R-16
    Scenario: I can skip the first tasks of the list
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum", created in this order
      When Alice lists her tasks and skips the first 1 of them
      Then Alice sees the tasks "Pay the rent", "Buy milk" in this order
      And Alice is told that the total is 3

    @AC-001 @R-15 @R-16
    Scenario: I can skip the first of what is open
      Given Alice has the tasks:
        | title        | state |
        | Buy milk     | open  |
        | Pay the rent | open  |
        | Call Mum     | done  |
      When Alice lists her tasks that are open and skips the first 1 of them
      Then Alice sees exactly the task "Buy milk"
      And Alice is told that the total is 2

    @AC-001 @R-17
    Scenario: After a page for which some were skipped, the next one goes on where it ended
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum", "Book a table", created in this order
      And Alice has looked at 2 of her tasks, the first 1 skipped
      When Alice turns to the next page
      Then Alice sees exactly the task "Buy milk"
      And Alice is told that the total is 4

    @AC-001 @R-15 @R-16
    Scenario Outline: Behind my last task there is an empty page: the first <count> of 3 are skipped
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum"
      When Alice lists her tasks and skips the first <count> of them
      Then Alice sees an empty list
      And Alice is told that the total is 3
      And Alice is given no link to a next page

      Examples: Just behind the last task, and as far as one can go
        | count               |
        | 3                   |
        | 9223372036854775807 |

    @AC-001 @R-17
    Scenario: A page may begin after the largest number that a task can have
      Given Alice has the tasks "Buy milk", "Pay the rent", created in this order
      When Alice lists those of her tasks that come after task number 9223372036854775807
      Then Alice sees the tasks "Pay the rent", "Buy milk" in this order

  Rule: A list that I can't have is refused, and I am told why
    An app asks for a page by limit, the number of tasks on it, and either by offset, the number of tasks to skip, or by
    after, the number of the task after which the page begins. By complete it asks for the tasks of one state.

    @AC-003 @R-06 @R-07
    Scenario Outline: A list with <what> is refused
      Given Alice has the task "Buy milk"
      When Alice tries to list her tasks with <what>
      Then Alice is told "<sentence>"
      And Alice still has exactly the task "Buy milk"

      Examples: A page holds 1 to 500 tasks
        | what                         | sentence                                  |
        | a limit of zero              | limit: must be greater than or equal to 1 |
        | a limit of 501               | limit: must be less than or equal to 500  |
        | a limit that is not a number | limit: must be a whole number, in digits  |
        | a limit written as 1_0       | limit: must be a whole number, in digits  |

      Examples: A page begins after a task, or after a number of tasks
        | what                                     | sentence                                                  | why                                 |
        | a negative offset                        | offset: must be a whole number, in digits                 |                                     |
        | an offset written as a fraction          | offset: must be a whole number, in digits                 |                                     |
        | an offset that is too large              | offset: must be less than or equal to 9223372036854775807 | nobody has so many tasks            |
        | a start after task number zero           | after: must be greater than or equal to 1                 | the numbers of tasks start at one   |
        | a start after a number that is too large | after: must be less than or equal to 9223372036854775807  | no task can have it                 |
        | both an offset and a start               | offset: must not be combined with after                   | the two would contradict each other |

      @R-04
      Examples: Nothing is guessed, and nothing is ignored
        | what                       | sentence                        | why                                   |
        | "yes" for complete         | complete: must be true or false |                                       |
        | "TRUE" for complete        | complete: must be true or false | it is written in one way              |
        | "1" for complete           | complete: must be true or false | a number is no state                  |
        | complete twice             | complete: must appear only once | which of them counts would be a guess |
        | an invisible NUL character | complete: must be true or false |                                       |
        | a misspelt filter          | complet: is not known here      | a typo must not be ignored silently   |
        | the same limit twice       | limit: must appear only once    | which of them counts would be a guess |
