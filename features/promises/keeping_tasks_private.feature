Feature: Keeping tasks private
  Everyone sees and changes their own tasks, and nobody else's. The promises that matter most are shown both ways: Bob
  against Alice, and Alice against Bob.

  An app gives each new task a key of its own, its Idempotency-Key; the same key means: this is the same task, sent
  again. Each change gives a task another version, and an app can say which version it has seen.

  Rule: Nobody gets into another person's list

    @AC-002 @R-13
    Scenario Outline: <intruder> can't <action> in <owner>'s list
      Given <owner> has the task "Secret plan"
      And <intruder> is signed in
      When <intruder> tries to <action> in <owner>'s list
      Then <intruder> is told "You have no access to another user's data."
      And <owner> still has exactly the task "Secret plan"
      And <intruder> still has no tasks

      Examples: Bob against Alice
        | intruder | owner | action         |
        | Bob      | Alice | list the tasks |
        | Bob      | Alice | create a task  |
        | Bob      | Alice | open a task    |
        | Bob      | Alice | replace a task |
        | Bob      | Alice | change a task  |
        | Bob      | Alice | delete a task  |

      Examples: Alice against Bob
        | intruder | owner | action         |
        | Alice    | Bob   | list the tasks |
        | Alice    | Bob   | create a task  |
        | Alice    | Bob   | open a task    |
        | Alice    | Bob   | replace a task |
        | Alice    | Bob   | change a task  |
        | Alice    | Bob   | delete a task  |

  Rule: Another person's task does not exist for me

    @AC-002 @R-13 @R-24
    Scenario Outline: <intruder> can't <action> of <owner>'s by its number in <intruder>'s own list
      Given <owner> has the task "Secret plan"
      And <intruder> has the task "Own plan"
      When <intruder> tries to <action> of <owner>'s by its number in <intruder>'s own list
      Then <intruder> is told "You have no such task.", exactly as about a task that never existed
      And <owner> still has exactly the task "Secret plan"
      And <intruder> still has exactly the task "Own plan"

      Examples: Bob against Alice
        | intruder | owner | action         |
        | Bob      | Alice | open a task    |
        | Bob      | Alice | replace a task |
        | Bob      | Alice | change a task  |
        | Bob      | Alice | delete a task  |

      Examples: Alice against Bob
        | intruder | owner | action         |
        | Alice    | Bob   | open a task    |
        | Alice    | Bob   | replace a task |
        | Alice    | Bob   | change a task  |
        | Alice    | Bob   | delete a task  |

    @AC-002 @R-19 @R-24
    Scenario Outline: <intruder> can't change <owner>'s task by claiming to have seen <version>
      Given <owner> has the task "Secret plan"
      When <intruder> tries to change <owner>'s task by its number in <intruder>'s own list, claiming to have seen <version>
      Then <intruder> is told "You have no such task.", exactly as about a task that never existed
      And <owner> still has exactly the task "Secret plan"

      Examples: Both ways
        | intruder | owner | version            | why                                       |
        | Bob      | Alice | its latest version | a right guess must not be confirmed       |
        | Bob      | Alice | another version    | "it has changed" would say that it exists |
        | Alice    | Bob   | its latest version | a right guess must not be confirmed       |
        | Alice    | Bob   | another version    | "it has changed" would say that it exists |

    @AC-002 @R-19 @R-24
    Scenario Outline: <intruder> can't <action> of <owner>'s that <intruder> claims to have seen in <version>
      Given <owner> has the task "Secret plan"
      When <intruder> tries to <action> of <owner>'s by its number in <intruder>'s own list, claiming to have seen <version>
      Then <intruder> is told "You have no such task.", exactly as about a task that never existed
      And <owner> still has exactly the task "Secret plan"

      Examples: The other ways to a task
        | intruder | owner | action         | version            |
        | Bob      | Alice | open a task    | its latest version |
        | Bob      | Alice | open a task    | another version    |
        | Bob      | Alice | replace a task | its latest version |
        | Bob      | Alice | replace a task | another version    |
        | Bob      | Alice | delete a task  | its latest version |
        | Bob      | Alice | delete a task  | another version    |

    @AC-006 @R-16
    Scenario: Each list holds its owner's tasks alone
      Given Alice has the tasks "Buy milk", "Pay the rent"
      And Bob has the task "Call Mum"
      When Bob lists his tasks
      Then Bob sees exactly the task "Call Mum"
      And Bob is told that the total is 1

    @AC-006
    Scenario: A page that begins after another person's task holds mine alone
      Given Bob has the task "Call Mum"
      And Alice has the tasks "Buy milk", "Pay the rent"
      When Bob lists those of his tasks that come after Alice's task "Pay the rent"
      Then Bob sees exactly the task "Call Mum"

  Rule: Whoever asks for another person's list is refused before what they sent is read

    @AC-002 @R-11
    Scenario: An unreadable request to another person's list is refused like any other, and not called unreadable
      Given Alice has the task "Secret plan"
      And Bob is signed in
      When Bob tries to send an unreadable request to Alice's list
      Then Bob is told "You have no access to another user's data."
      And Alice still has exactly the task "Secret plan"

  Rule: The Idempotency-Keys of one person mean nothing to another

    @AC-002 @R-18
    Scenario Outline: <second> may use an Idempotency-Key that <first> has used, and learns nothing by it
      Given <first> has created the task "Secret plan" with the Idempotency-Key "one"
      When <second> creates the task "Secret plan" with the Idempotency-Key "one"
      Then <second> is shown the new task "Secret plan" and where to find it
      And <second> now has exactly the task "Secret plan"
      And <first> still has exactly the task "Secret plan"

      Examples: Both ways
        | first | second |
        | Alice | Bob    |
        | Bob   | Alice  |

  Rule: The operator can delete all that is stored of a person, and nobody else loses anything

    @AC-006 @R-21
    Scenario Outline: The operator can delete all that is stored of <who>, and <other> keeps task and key
      Given <who> has created the task "Buy milk" with the Idempotency-Key "one"
      And <other> has created the task "Call Mum" with the Idempotency-Key "one"
      When the operator deletes all that is stored of <who>
      Then the database holds nothing of <who>'s
      And <other> still has exactly the task "Call Mum"
      And the Idempotency-Key "one" of <other>'s is still stored

      Examples: Both ways
        | who   | other |
        | Alice | Bob   |
        | Bob   | Alice |

    @AC-006 @R-21
    Scenario: The operator deletes what is done, and Idempotency-Keys that are too old, too
      Given Alice has created the task "Buy milk" with the Idempotency-Key "one"
      And Alice has the tasks:
        | title        | description | state |
        | Pay the rent | in cash     | done  |
      And 24 hours and 1 second have passed
      When the operator deletes all that is stored of Alice
      Then the database holds nothing of Alice's

    @AC-006 @R-21
    Scenario: The operator can delete all that is stored of somebody whose id is nearly Alice's, and she keeps her task
      Given Alice has the task "Buy milk"
      And somebody is signed in whose id a careless search takes for Alice's
      When the operator deletes all that is stored of somebody
      Then Alice still has exactly the task "Buy milk"
