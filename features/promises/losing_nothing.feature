Feature: Losing nothing
  Networks swallow answers, and people have two tabs open. Neither may cost them a task or a text.

  Rule: A task that is sent again is there once

    @AC-006
    Scenario: The network swallowed the answer, and the phone sent the task again
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      When Alice's phone sends it again
      Then Alice's phone is given the first answer, letter for letter
      And Alice still has exactly the tasks "Buy milk"

    @AC-006
    Scenario: The database died with the answer, and the phone sent the task again
      Given Alice's phone has sent the task "Buy milk", and the database has stored it and died before it could say so
      When Alice's phone sends it again
      Then Alice is shown the new task "Buy milk" and where to find it
      And Alice still has exactly the tasks "Buy milk"

    @AC-006
    Scenario: The database died with the task, and the phone sent it again
      Given Alice's phone has sent the task "Buy milk", and the database has died before it could store it
      When Alice's phone sends it again
      Then Alice is shown the new task "Buy milk" and where to find it
      And Alice still has exactly the tasks "Buy milk"

    @AC-006
    Scenario: The service was restarted before the phone sent the task again
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And the service has been restarted
      When Alice's phone sends it again
      Then Alice's phone is given the first answer, letter for letter
      And Alice still has exactly the tasks "Buy milk"

    @AC-006
    Scenario: Fifty sendings of one task at once are one task
      Given Alice has no tasks
      When Alice's phone sends the task "Buy milk" 50 times at once
      Then all 50 are given the same answer
      And Alice still has exactly the tasks "Buy milk"

    @AC-006
    Scenario: The first answer is given also where the task has changed since
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And Alice has replaced the task "Buy milk" by "Buy oats"
      When Alice's phone sends it again
      Then Alice's phone is given the first answer, letter for letter
      And Alice still has exactly the tasks "Buy oats"

    @AC-006
    Scenario: A retry does not bring a deleted task back
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And Alice has deleted the task "Buy milk"
      When Alice's phone sends it again
      Then Alice's phone is given the first answer, letter for letter
      And Alice has no tasks

  Rule: What a retry is known by is one mark for one task, of one person, for a day

    @AC-001
    Scenario: Two tasks with marks of their own are two tasks
      Given Alice has created the task "Buy milk" under the mark "one"
      When Alice creates the task "Buy milk" under the mark "two"
      Then Alice is shown the new task "Buy milk" and where to find it
      And Alice still has exactly the tasks "Buy milk", "Buy milk"

    @AC-003
    Scenario: A mark that stands for another task is refused
      Given Alice has created the task "Buy milk" under the mark "one"
      When Alice tries to create the task "Pay the rent" under the mark "one"
      Then Alice is told that the mark was used for another task
      And Alice still has exactly the tasks "Buy milk"

    @AC-002
    Scenario Outline: <second> may use a mark that <first> has used, and learns nothing by it
      Given <first> has created the task "Secret plan" under the mark "one"
      When <second> creates the task "Secret plan" under the mark "one"
      Then <second> is shown the new task "Secret plan" and where to find it
      And <second> still has exactly the tasks "Secret plan"
      And <first> still has exactly the tasks "Secret plan"

      Examples: Marks are private both ways
        | first | second | why                              |
        | Alice | Bob    | Bob's marks are Bob's alone      |
        | Bob   | Alice  | Alice's marks are Alice's alone  |

    @AC-006
    Scenario: A day later the mark may be used again
      Given Alice has created the task "Buy milk" under the mark "one"
      And a day has passed
      When Alice creates the task "Pay the rent" under the mark "one"
      Then Alice is shown the new task "Pay the rent" and where to find it
      And Alice still has exactly the tasks "Buy milk", "Pay the rent"

    @AC-003
    Scenario Outline: A task under <what> is refused
      Given Alice has no tasks
      When Alice tries to create a task under <what>
      Then Alice is told that the request makes no sense
      And Alice has no tasks

      Examples: What can't be a mark
        | what                    | why                                   |
        | an empty mark           | every empty one would be the same     |
        | a mark of 256 letters   | 255 is the limit                      |
        | a mark with an umlaut   | it may arrive in another spelling     |
        | a mark with a tab in it | it can't be seen                      |
        | two marks               | which of them counts would be a guess |

  Rule: Of two tabs, the second is told that the task has changed

    @AC-004
    Scenario Outline: A tab that has missed a change can't <action>
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      When her second tab tries to <action>
      Then Alice is told that the task has changed meanwhile
      And the database still has exactly the first tab's task

      Examples: Every way to change a task
        | action         | why                                       |
        | replace a task | the first tab's title would be lost       |
        | change a task  | it was decided upon by what was seen      |
        | delete a task  | the first tab's title would be lost       |

    @AC-006
    Scenario: Having looked again, the second tab adds its part and both texts are kept
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      And her second tab has looked again
      When her second tab changes the description to "one kilo"
      Then the database holds for Alice exactly:
        | title    | description | complete |
        | Buy oats | one kilo    | no       |

    @AC-006
    Scenario: Of two tabs that save in the same moment, one is told to look again
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      When both tabs save another title in the same moment
      Then one tab's title is stored, and the other tab is told that the task has changed

    @AC-004
    Scenario: What one tab has deleted is gone for the other
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And Alice has deleted the task "Buy milk"
      When her second tab tries to change a task
      Then Alice is told that there is no such task
      And Alice has no tasks

    @AC-001
    Scenario: A tab may overwrite whatever is there, if it says so
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      When her second tab changes the title to "Buy rice", whatever is there
      Then Alice still has exactly the tasks "Buy rice"

    @AC-002
    Scenario Outline: <intruder> can't change <owner>'s task by <state>
      Given <owner> has the task "Secret plan"
      When <intruder> tries to change <owner>'s task as one of their own, by <state>
      Then <intruder> is told that there is no such task
      And <owner> still has exactly the tasks "Secret plan"

      Examples: It must look as if it had never existed, both ways
        | intruder | owner | state       | why                                     |
        | Bob      | Alice | its state   | even a right guess must not be confirmed |
        | Bob      | Alice | a wrong one | a refusal would say that it is there    |
        | Alice    | Bob   | its state   | even a right guess must not be confirmed |
        | Alice    | Bob   | a wrong one | a refusal would say that it is there    |

  Rule: What a tab has already is not sent again

    @AC-001
    Scenario: A task that has not changed is not sent again
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      When her second tab asks whether there is anything new
      Then it is told that nothing is new

    @AC-001
    Scenario: A task that has changed is sent
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      When her second tab asks whether there is anything new
      Then Alice sees exactly these details:
        | title    | description | complete |
        | Buy oats |             | no       |
