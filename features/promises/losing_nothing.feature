Feature: Losing nothing
  Answers get lost on the network, and people open a task in two tabs. Neither may cost them a task or a text.

  An app gives each new task a key of its own, its Idempotency-Key; the same key means: this is the same task, sent
  again. Each change gives a task another version, and an app can ask that a change be made only to the version that it
  saw.

  Rule: A task that is sent again is created once
    Whoever sends it again gets the first answer, which shows the task as it was created, whatever has become of it.

    @AC-006 @R-18
    Scenario: The answer got lost, and the phone sent the task again
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      When Alice's phone sends it again
      Then Alice's phone gets the first answer again, unchanged
      And Alice still has exactly the task "Buy milk"

    @AC-006 @R-18
    Scenario: The database crashed after it had stored the task, and the phone sent it again
      Given Alice's phone has sent the task "Buy milk", and the database has stored it and crashed before answering
      When Alice's phone sends it again
      Then Alice is shown the task "Buy milk" and where to find it
      And Alice still has exactly the task "Buy milk"

    @AC-006 @R-18 @R-20
    Scenario: The database crashed before it could store the task, and the phone sent it again
      Given Alice's phone has sent the task "Buy milk", and the database has crashed before it could store it
      When Alice's phone sends it again
      Then Alice is shown the new task "Buy milk" and where to find it
      And Alice now has exactly the task "Buy milk"

    @AC-006 @R-18
    Scenario: The service was restarted before the phone sent the task again
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And the service has been restarted
      When Alice's phone sends it again
      Then Alice's phone gets the first answer again, unchanged
      And Alice still has exactly the task "Buy milk"

    @AC-006 @R-18
    Scenario: A task that is sent fifty times at once is created once
      Given Alice has no tasks
      When Alice's phone sends the task "Buy milk" 50 times at once
      Then all 50 answers are the same
      And Alice now has exactly the task "Buy milk"

    @AC-006 @R-18
    Scenario: A retry gets the first answer even if the task has changed since
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And Alice has replaced the task "Buy milk" with "Buy oats"
      When Alice's phone sends it again
      Then Alice's phone gets the first answer again, unchanged
      And Alice still has exactly the task "Buy oats"

    @AC-006 @R-18
    Scenario: A retry gets the first answer even if another task was created since
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And since then Alice has created the task "Pay the rent"
      When Alice's phone sends it again
      Then Alice's phone gets the first answer again, unchanged
      And Alice still has exactly the tasks "Buy milk", "Pay the rent"

    @AC-006 @R-18
    Scenario: A retry does not bring a deleted task back
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And Alice has deleted the task "Buy milk"
      When Alice's phone sends it again
      Then Alice's phone gets the first answer again, unchanged
      And Alice still has no tasks

  Rule: An Idempotency-Key stands for one task, of one person, for a day

    @AC-001 @R-18
    Scenario: Two tasks with different keys are two tasks
      Given Alice has created the task "Buy milk" with the Idempotency-Key "one"
      When Alice creates the task "Buy milk" with the Idempotency-Key "two"
      Then Alice is shown the new task "Buy milk" and where to find it
      And Alice now has exactly the tasks "Buy milk", "Buy milk"

    @AC-001 @R-18
    Scenario: Keys that differ in their case are different keys
      Given Alice has created the task "Buy milk" with the Idempotency-Key "one"
      When Alice creates the task "Buy milk" with the Idempotency-Key "ONE"
      Then Alice is shown the new task "Buy milk" and where to find it
      And Alice now has exactly the tasks "Buy milk", "Buy milk"

    @AC-001 @R-18
    Scenario Outline: <key> stands for one task, wherever it is sent again
      Given Alice has created the task "Buy milk" with <key>
      When Alice creates the task "Buy milk" with <key> again
      Then Alice is shown the task "Buy milk" and where to find it
      And Alice still has exactly the task "Buy milk"

      Examples: From 1 to 255 characters
        | key                                 | why                 |
        | an Idempotency-Key of one letter    |                     |
        | an Idempotency-Key of 255 letters   | 255 is the limit    |
        | an Idempotency-Key with a space     | it is printable too |
        | an Idempotency-Key with punctuation |                     |

    @AC-001 @R-18
    Scenario: A task that is sent with a key has its description too
      Given Alice has no tasks
      When Alice creates the task "Buy milk" with the description "two litres" and the Idempotency-Key "one"
      Then Alice is shown the new task "Buy milk" and where to find it
      And the task "Buy milk" has the description "two litres"

    @AC-003 @R-18
    Scenario: A key that was used for a task with another description is refused
      Given Alice has created the task "Buy milk" with the Idempotency-Key "one"
      When Alice tries to create the task "Buy milk" with the description "two litres" and the Idempotency-Key "one"
      Then Alice is told "Idempotency-Key: was used for another task before"
      And Alice still has exactly the task "Buy milk"

    @AC-003 @R-18
    Scenario: A key that was used for another task is refused
      Given Alice has created the task "Buy milk" with the Idempotency-Key "one"
      When Alice tries to create the task "Pay the rent" with the Idempotency-Key "one"
      Then Alice is told "Idempotency-Key: was used for another task before"
      And Alice still has exactly the task "Buy milk"

    @AC-006 @R-18
    Scenario: Until a day has passed a retry gets the first answer
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And 23 hours and 59 minutes have passed
      When Alice's phone sends it again
      Then Alice's phone gets the first answer again, unchanged
      And Alice still has exactly the task "Buy milk"

    @AC-006 @R-18
    Scenario: What others do until a day has passed leaves a key alone
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And Bob has the task "Call Mum"
      And 23 hours and 59 minutes have passed
      And Bob has deleted the task "Call Mum"
      When Alice's phone sends it again
      Then Alice's phone gets the first answer again, unchanged

    @AC-003 @R-18
    Scenario: Until a day has passed the key is not free for another task
      Given Alice has created the task "Buy milk" with the Idempotency-Key "one"
      And 23 hours and 59 minutes have passed
      When Alice tries to create the task "Pay the rent" with the Idempotency-Key "one"
      Then Alice is told "Idempotency-Key: was used for another task before"
      And Alice still has exactly the task "Buy milk"

    @AC-006 @R-18
    Scenario: A day later the key may be used again
      Given Alice has created the task "Buy milk" with the Idempotency-Key "one"
      And 24 hours and 1 second have passed
      When Alice creates the task "Pay the rent" with the Idempotency-Key "one"
      Then Alice is shown the new task "Pay the rent" and where to find it
      And Alice now has exactly the tasks "Buy milk", "Pay the rent"

    @AC-006 @R-18
    Scenario: A day later the same task with the same key is another task
      Given Alice's phone has sent the task "Buy milk" and lost the answer
      And 24 hours and 1 second have passed
      When Alice's phone sends it again
      Then Alice is shown the new task "Buy milk" and where to find it
      And Alice now has exactly the tasks "Buy milk", "Buy milk"

    @AC-003 @R-18
    Scenario Outline: A task with <key> is refused
      Given Alice has no tasks
      When Alice tries to send the task "Buy milk" with <key>
      Then Alice is told "Idempotency-Key must be sent once, with 1 to 255 printable ASCII characters."
      And Alice still has no tasks

      Examples: What can't be an Idempotency-Key
        | key                               | why                                   |
        | an empty Idempotency-Key          | every empty one would be the same     |
        | an Idempotency-Key of 256 letters | 255 is the limit                      |
        | an Idempotency-Key with an umlaut | it may arrive in another encoding     |
        | an Idempotency-Key with a tab     |                                       |
        | two Idempotency-Keys              | which of them counts would be a guess |

  Rule: A change that asks for the version it saw is refused if the task has changed since

    @AC-004 @R-19
    Scenario Outline: A tab that has not seen the latest change can't <action>
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      When her second tab tries to <action>
      Then Alice is told "The task has changed in the meantime: look at it again."
      And Alice still has exactly the task "Buy oats"

      Examples: Every way to change a task
        | action           |
        | replace the task |
        | change the task  |
        | delete the task  |

    @AC-001 @R-19
    Scenario Outline: A tab that has seen the latest version can <action>
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      When her second tab asks to <action>
      Then what it asked for is done

      Examples: Every way to change a task
        | action           |
        | replace the task |
        | change the task  |
        | delete the task  |

    @AC-006 @R-19
    Scenario: After a reload the second tab adds its part, and both texts are kept
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      And her second tab has reloaded the task
      When her second tab changes the description to "one kilo"
      Then the database holds for Alice exactly:
        | title    | description | state |
        | Buy oats | one kilo    | open  |

    @AC-006 @R-19
    Scenario: Of two tabs that save in the same moment, one is told that the task has changed
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      When both tabs save another title in the same moment
      Then one tab's title is stored, and the other tab is told "The task has changed in the meantime: look at it again."

    @AC-006 @R-19
    Scenario: Of two tabs that replace the task in the same moment, one is told that the task has changed
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      When both tabs replace the task in the same moment
      Then one tab's title is stored, and the other tab is told "The task has changed in the meantime: look at it again."

    @AC-004 @R-19
    Scenario: A task that one tab has deleted is gone for the other
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And Alice has deleted the task "Buy milk"
      When her second tab tries to change the task
      Then Alice is told "You have no such task."
      And Alice still has no tasks

    @AC-001 @R-19
    Scenario: A tab may overwrite any change, if it says so
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      When her second tab changes the title to "Buy rice", and asks for no version in particular
      Then Alice now has exactly the task "Buy rice"

    @AC-001 @R-19
    Scenario Outline: A tab may <action> whatever its version is, if it says so
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      When her second tab asks for no version in particular, to <action>
      Then what it asked for is done

      Examples: The other ways to change a task
        | action           |
        | replace the task |
        | delete the task  |

  Rule: A tab that has the latest version of a task need not load it again

    @AC-001 @R-19
    Scenario: A task that has not changed is not sent again
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      When her second tab asks whether the task has changed
      Then it is told that nothing has changed, and is not sent the task

    @AC-001 @R-19
    Scenario: A task that has changed is sent
      Given Alice has the task "Buy milk"
      And Alice has opened the task "Buy milk" in two tabs
      And her first tab has changed the title to "Buy oats"
      When her second tab asks whether the task has changed
      Then Alice sees exactly these details:
        | title    | description | state |
        | Buy oats |             | open  |
