@US-1
Feature: Listing tasks
  As a todo user
  I want to list my tasks
  So that I can see my todo list in any client

  Rule: My list shows all my tasks, the newest first

    @AC-001
    Scenario: The newest task comes first
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum"
      When Alice lists her tasks
      Then Alice sees the tasks "Call Mum", "Pay the rent", "Buy milk" in this order
      And Alice is told that the total is 3

    @AC-001
    Scenario: A person without tasks sees an empty list
      Given Alice has no tasks
      When Alice lists her tasks
      Then Alice sees no tasks
      And Alice is told that the total is 0

    @AC-003
    Scenario: Every task on the list shows all its details
      Given Alice has the tasks:
        | title        | description   | complete |
        | Buy milk     | two litres    | no       |
        | Pay the rent |               | yes      |
      When Alice lists her tasks
      Then Alice sees exactly these details:
        | title        | description   | complete |
        | Pay the rent |               | yes      |
        | Buy milk     | two litres    | no       |

  Rule: I can narrow the list to what is open or what is done

    @AC-001
    Scenario Outline: Only the <state> tasks are listed when I ask for them
      Given Alice has the tasks:
        | title        | complete |
        | Buy milk     | no       |
        | Pay the rent | yes      |
        | Call Mum     | no       |
      When Alice lists her <state> tasks
      Then Alice sees the tasks <tasks> in this order
      And Alice is told that the total is <count>

      Examples: Each state shows its own
        | state     | tasks                  | count |
        | open      | "Call Mum", "Buy milk" | 2     |
        | completed | "Pay the rent"         | 1     |

  Rule: A long list comes in pages, and paging misses nothing

    @AC-001
    Scenario Outline: A list of <total> tasks, <size> to a page, ends on page <pages>
      Given Alice has <total> tasks
      When Alice lists her tasks <size> at a time
      Then Alice has seen each of her tasks once, and page <pages> was the last

      Examples: The last page may be full, short or the only one
        | total | size | pages | why                          |
        | 5     | 2    | 3     | the last page is short       |
        | 4     | 2    | 2     | the last page is full        |
        | 3     | 500  | 1     | everything fits on one page  |

    @AC-001
    Scenario: Only completed tasks are on the pages of the completed tasks
      Given Alice has 5 tasks, every second one completed
      When Alice lists her completed tasks 2 at a time
      Then Alice has seen 3 completed tasks, and page 2 was the last

    @AC-001
    Scenario: A list holds five hundred tasks where I don't say how many
      Given Alice has 501 tasks
      When Alice lists her tasks
      Then Alice sees 500 tasks
      And Alice is told that the total is 501
      And Alice is shown the way to the next page

    @AC-001
    Scenario: A list that just fits on its page has no next page
      Given Alice has 500 tasks
      When Alice lists her tasks
      Then Alice sees 500 tasks
      And Alice is shown no way to a next page

    @AC-001
    Scenario: A task added while I page does not push another one off its page
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum", "Book a table"
      And Alice has looked at the first 2 of her tasks
      And Alice has the task "Water the plants"
      When Alice turns to the next page
      Then Alice sees the tasks "Pay the rent", "Buy milk" in this order

    @AC-001
    Scenario: I can skip a number of tasks
      Given Alice has the tasks "Buy milk", "Pay the rent", "Call Mum"
      When Alice lists her tasks and skips 1
      Then Alice sees the tasks "Pay the rent", "Buy milk" in this order
      And Alice is told that the total is 3

  Rule: A list that I can't have is refused with the reason

    @AC-003
    Scenario Outline: A list with <what> is refused
      Given Alice has the task "Buy milk"
      When Alice tries to list her tasks with <what>
      Then Alice is told that the "<field>" breaks a rule
      And Alice still has exactly the tasks "Buy milk"

      Examples: What a list can't be asked for
        | what                             | field    | why                                     |
        | a limit of zero                  | limit    | a page holds at least one task          |
        | a limit of 501                   | limit    | a page holds at most 500 tasks          |
        | a limit that is not a number     | limit    |                                         |
        | a negative offset                | offset   |                                         |
        | an offset written as a fraction  | offset   |                                         |
        | a starting point of zero         | after    | the numbers of tasks start at one       |
        | a starting point beyond any task | after    |                                         |
        | both an offset and a start       | offset   | the two would contradict each other     |
        | "yes" for complete               | complete | it is true or false                     |
        | a misspelt filter                | complet  | a typo must not be ignored silently     |
        | the same limit twice             | limit    | which of them counts would be a guess   |
        | an invisible NUL character       | complete |                                         |
