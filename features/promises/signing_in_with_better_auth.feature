@needs-node
Feature: Signing in with Better Auth
  People sign in with Better Auth as it comes. All that the service needs is to be told where it is: no secret is
  shared, its keys may change at any time, and people go on working while it is away.

  Rule: Whoever has signed in with Better Auth sees their tasks

    @AC-002
    Scenario Outline: Alice, signed in with a Better Auth that <does>, sees her tasks
      Given a Better Auth that <does>
      And Alice has signed up there
      And Alice has the task "Buy milk"
      When Alice lists her tasks
      Then Alice sees the tasks "Buy milk" in this order

      Examples: Better Auth can be set up in many ways
        | does                                        | why                                               |
        | is just installed                           | it tells all about the user, and signs with EdDSA |
        | tells the user's id and mail address only   | the README's advice for a frontend                |
        | signs with ES256                            | some companies want this one                      |
        | signs with ES256 and tells id and mail only | both together                                     |
        | signs with RS256                            | older clients know nothing else                   |
        | signs with RS256 and tells id and mail only | both together                                     |

    @AC-002
    Scenario Outline: <who>, signed in with Better Auth, can't see <whose> tasks
      Given a Better Auth that is just installed
      And Alice and Bob have signed up there
      And <whose> has the task "Buy milk"
      When <who> tries to list the tasks in <whose>'s list
      Then <who> is told that these tasks are someone else's
      And <whose> still has exactly the tasks "Buy milk"

      Examples: In both directions
        | who   | whose | why                 |
        | Bob   | Alice | her list is hers    |
        | Alice | Bob   | and his list is his |

    @AC-002
    Scenario: A large picture in a profile is fine where tokens tell the user's id and mail address only
      Given a Better Auth that tells the user's id and mail address only
      And Alice has signed up there with a large picture in her profile
      And Alice has the task "Buy milk"
      When Alice lists her tasks
      Then Alice sees the tasks "Buy milk" in this order

    @AC-002
    Scenario: A large picture in a profile is too much where tokens tell all about the user
      Given a Better Auth that is just installed
      And Alice has signed up there with a large picture in her profile
      And Alice has the task "Buy milk"
      When Alice tries to list the tasks in her list
      Then Alice is told to sign in again
      And the database still has exactly the tasks "Buy milk" of Alice's

  Rule: When Better Auth changes its key, nobody is signed out

    @AC-002
    Scenario: A key was rotated and nobody was signed out
      Given a Better Auth that is just installed
      And Alice has signed up there
      And Alice has looked at the first 1 of her tasks
      And Better Auth has changed its key
      When Alice lists her tasks
      Then Alice sees no tasks

    @AC-002
    Scenario: A token under a new key is good at its first use
      Given a Better Auth that is just installed
      And Alice has signed up there
      And Alice has looked at the first 1 of her tasks
      And Better Auth has changed its key
      When Alice lists her tasks with a new token under a new key
      Then Alice sees no tasks

    @AC-002
    Scenario: While keys change every second, no request fails
      Given a Better Auth that changes its key every second
      And Alice has signed up there
      When Alice's 8 devices list her tasks for 5 seconds, with a new token each time
      Then not one of the requests has failed
      And they carried tokens under at least 3 keys

    @AC-002
    Scenario: A token under a key that was withdrawn opens nothing any more
      Given a Better Auth that is just installed
      And the service looks for withdrawn keys every second
      And Alice has signed up there
      And Alice has looked at the first 1 of her tasks
      When Better Auth withdraws its key
      Then within 3 seconds Alice is told to sign in again

  Rule: While Better Auth is away, people go on working

    @AC-002
    Scenario Outline: Alice goes on while Better Auth <is away>
      Given a Better Auth that is just installed
      And Alice has signed up there
      And Alice has looked at the first 1 of her tasks
      And Better Auth <is away>
      When Alice creates the task "Buy milk"
      Then Alice is shown the new task "Buy milk" and where to find it

      Examples: There are two ways of being away
        | is away           | why                    |
        | is down           | it refuses to be asked |
        | no longer answers | it lets everybody wait |

    @AC-002
    Scenario Outline: A new token is good at once while Better Auth <is away>
      Given a Better Auth that is just installed
      And Alice has signed up there
      And Alice has looked at the first 1 of her tasks
      And Alice has a new token and Better Auth <is away>
      When Alice lists her tasks
      Then Alice sees no tasks, and was not kept waiting

      Examples: There are two ways of being away
        | is away           | why                    |
        | is down           | it refuses to be asked |
        | no longer answers | it lets everybody wait |

    @AC-002
    Scenario Outline: Whoever can't be judged is not signed out while Better Auth <is away>
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Better Auth <is away>
      When Alice tries to list the tasks in her list
      Then Alice is told that she can't be recognized right now
      And once Better Auth is back, Alice still has exactly the tasks "Buy milk"

      Examples: There are two ways of being away
        | is away           | why                    |
        | is down           | it refuses to be asked |
        | no longer answers | it lets everybody wait |

  Rule: What Better Auth signs for other ends opens nothing

    @AC-002
    Scenario Outline: Mallory can't get in with <thing>
      Given a Better Auth that <does>
      And Alice has signed up there
      And Alice has the task "Buy milk"
      When Mallory shows <thing> and tries to list Alice's tasks
      Then Mallory is told to sign in again
      And Alice still has exactly the tasks "Buy milk"

      Examples: Each of them is signed by Better Auth, and none was issued to us
        | thing                            | does                                                | why                              |
        | the link of Alice's welcome mail | is just installed                                   | it is under the shared secret    |
        | the mark of Alice's session      | keeps sessions in the browser                       | it is under the shared secret    |
        | the signed mark of her session   | keeps sessions in the browser, signed with its keys | it even names her as its subject |
