Feature: Keeping tasks safe
  What the service has confirmed, by showing the task or by saying that it is deleted, is in the database, and stays
  there.

  A database that is stopped refuses everybody at once, until it is started again. One that is frozen lets everybody
  wait and never answers. One that crashes ends in the midst of its work.

  Rule: What was confirmed is stored

    @AC-006
    Scenario: A created task is in the database when it is confirmed
      Given Alice has no tasks
      When Alice creates the task "Buy milk"
      Then the database holds for Alice exactly:
        | title    | description | state |
        | Buy milk |             | open  |

    @AC-006
    Scenario: A changed task is changed in the database when it is confirmed
      Given Alice has the task "Buy milk" with the description "two litres"
      When Alice completes the task "Buy milk"
      Then the database holds for Alice exactly:
        | title    | description | state |
        | Buy milk | two litres  | done  |

    @AC-006
    Scenario: A deleted task is gone from the database when it is confirmed
      Given Alice has the tasks "Buy milk", "Pay the rent"
      When Alice deletes the task "Buy milk"
      Then the database holds for Alice exactly:
        | title        | description | state |
        | Pay the rent |             | open  |

  Rule: A crash loses nothing that was confirmed

    @AC-006
    Scenario: Tasks are still there after the database has crashed
      Given Alice has the task "Buy milk"
      And the service has confirmed Alice's new task "Pay the rent"
      When the database crashes and is started again
      Then Alice still has exactly the tasks "Buy milk", "Pay the rent"

    @AC-006
    Scenario: A change is still there after the database has crashed
      Given Alice has the task "Buy milk"
      And the service has confirmed Alice's change of the title "Buy milk" to "Buy oats"
      When the database crashes and is started again
      Then Alice still has exactly the task "Buy oats"

    @AC-006
    Scenario: A deleted task is still gone after the database has crashed
      Given Alice has the tasks "Buy milk", "Pay the rent"
      And Alice has deleted the task "Pay the rent"
      When the database crashes and is started again
      Then Alice still has exactly the task "Buy milk"

  Rule: Many requests at once don't get in each other's way

    @AC-006 @R-43
    Scenario: Sixty requests at once share at most 16 connections to the database
      Given Alice has no tasks
      When Alice creates 60 tasks at once
      Then the database holds each of the 60 tasks once
      And the service uses at most 16 connections to the database

    @AC-006
    Scenario: Two changes to different parts, neither of which asks for the version it saw, are both kept
      Given Alice has the task "Buy milk"
      When Alice's phone changes the title to "Buy oat milk" while her laptop completes the task
      Then the database holds for Alice exactly:
        | title        | description | state |
        | Buy oat milk |             | done  |

  Rule: A database that is stopped or crashes costs time, and never a task

    @AC-006 @R-43
    Scenario: A task can be created after the database was restarted
      Given Alice has the task "Buy milk"
      And the database has been restarted
      When Alice creates the task "Pay the rent"
      Then Alice now has exactly the tasks "Buy milk", "Pay the rent"

    @AC-006 @R-43
    Scenario: A task is created even if the database is only started while Alice waits
      Given Alice has the task "Buy milk"
      And the database is stopped
      When Alice creates the task "Pay the rent" while the database is started again
      Then Alice now has exactly the tasks "Buy milk", "Pay the rent"

    @AC-006 @R-20
    Scenario: Each task that was confirmed while the database crashed is there
      Given Alice has no tasks
      When Alice creates tasks one after another while the database crashes and comes back
      Then each task that was confirmed is in the database, and no task is there twice
