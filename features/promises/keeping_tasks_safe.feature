Feature: Keeping tasks safe
  What the service has confirmed is in the database, and stays there.

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
    Scenario: The database is killed and started again
      Given Alice has the task "Buy milk"
      And the service has confirmed Alice's new task "Pay the rent"
      When the database is killed and started again
      Then Alice still has exactly the tasks "Buy milk", "Pay the rent"

  Rule: Many people at once don't get in each other's way

    @AC-006 @R-43
    Scenario: Sixty requests at once share a few connections
      Given Alice has no tasks
      When Alice creates 60 tasks at once
      Then the database holds each of the 60 tasks once
      And the service uses at most 16 connections to the database

    @AC-006
    Scenario: Two changes to different parts of a task are both kept
      Given Alice has the task "Buy milk"
      When Alice's phone changes the title to "Buy oat milk" while her laptop completes the task
      Then the database holds for Alice exactly:
        | title        | description | state |
        | Buy oat milk |             | done  |

  Rule: A database that is down for a while costs time, and never a task

    @AC-006 @R-43
    Scenario: The database is restarted between two of Alice's tasks
      Given Alice has the task "Buy milk"
      And the database has been restarted
      When Alice creates the task "Pay the rent"
      Then Alice now has exactly the tasks "Buy milk", "Pay the rent"

    @AC-006 @R-43
    Scenario: The database is asleep, and wakes up while Alice waits
      Given Alice has the task "Buy milk"
      And the database is stopped
      When Alice creates the task "Pay the rent" while the database wakes up
      Then Alice now has exactly the tasks "Buy milk", "Pay the rent"

    @AC-006 @R-20
    Scenario: Each task that was confirmed while the database crashed is there
      Given Alice has no tasks
      When Alice creates tasks one after another while the database crashes and comes back
      Then each task that was confirmed is in the database, and no task is there twice
