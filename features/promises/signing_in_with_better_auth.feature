@needs-node
Feature: Signing in with Better Auth
  People sign in with Better Auth as it comes. The service needs its address and nothing else: no secret is shared, its
  keys may change at any time, and people go on working while it is unavailable.

  Rule: Whoever has signed in with Better Auth sees their tasks

    @AC-002
    Scenario Outline: Alice, signed in with a Better Auth that <does>, sees her tasks
      Given a Better Auth that <does>
      And Alice has signed up there
      And Alice has the task "Buy milk"
      When Alice lists her tasks
      Then Alice sees the tasks "Buy milk" in this order

      Examples: Better Auth can be set up in many ways
        | does                                         | why                                                       |
        | is just installed                            | its tokens hold the whole user, and are signed with EdDSA |
        | tells the user's id and email address only   | the README recommends it                                  |
        | signs with ES256                             |                                                           |
        | signs with ES256 and tells id and email only |                                                           |
        | signs with RS256                             |                                                           |
        | signs with RS256 and tells id and email only |                                                           |

    @AC-002
    Scenario: Bob, signed in with Better Auth, can't see Alice's tasks
      Given a Better Auth that is just installed
      And Alice and Bob have signed up there
      And Alice has the task "Buy milk"
      When Bob tries to list the tasks in Alice's list
      Then Bob is told that these tasks are someone else's
      And Alice still has exactly the tasks "Buy milk"

    @AC-002
    Scenario: A large picture in a profile does no harm where tokens tell the user's id and email address only
      Given a Better Auth that tells the user's id and email address only
      And Alice has signed up there with a large picture in her profile
      And Alice has the task "Buy milk"
      When Alice lists her tasks
      Then Alice sees the tasks "Buy milk" in this order

    @AC-002
    Scenario: A large picture in a profile is too much where tokens hold the whole user
      Given a Better Auth that is just installed
      And Alice has signed up there with a large picture in her profile
      And Alice has the task "Buy milk"
      When Alice tries to list the tasks in her list
      Then Alice is told to sign in again
      And the database still has exactly the tasks "Buy milk" of Alice's

  Rule: When Better Auth changes its key, nobody is signed out

    @AC-002
    Scenario: A token stays good when Better Auth has changed its key
      Given a Better Auth that is just installed
      And Alice has signed up there
      And Alice has looked at her tasks
      And Better Auth has changed its key
      When Alice lists her tasks
      Then Alice sees no tasks

    @AC-002
    Scenario: A token signed with a new key is accepted at its first use
      Given a Better Auth that is just installed
      And Alice has signed up there
      And Alice has looked at her tasks
      And Better Auth has changed its key
      When Alice lists her tasks with a new token, signed with a new key
      Then Alice sees no tasks

    @AC-002
    Scenario: While keys change every second, no request fails
      Given a Better Auth that changes its key every second
      And Alice has signed up there
      When Alice's 8 devices list her tasks for 5 seconds, with a new token each time
      Then none of the requests has failed
      And their tokens were signed with at least 3 keys

    @AC-002
    Scenario: A token signed with a key that was withdrawn is refused
      Given a Better Auth that is just installed
      And the service looks for withdrawn keys every second
      And Alice has signed up there
      And Alice has looked at her tasks
      When Better Auth withdraws its key
      Then within 3 seconds Alice is told to sign in again

  Rule: While Better Auth is unavailable, people go on working

    @AC-002
    Scenario Outline: Alice goes on while Better Auth <is unavailable>
      Given a Better Auth that is just installed
      And Alice has signed up there
      And Alice has looked at her tasks
      And Better Auth <is unavailable>
      When Alice creates the task "Buy milk"
      Then Alice is shown the new task "Buy milk" and where to find it

      Examples: Two ways of being unavailable
        | is unavailable    |
        | is down           |
        | no longer answers |

    @AC-002
    Scenario Outline: A new token is accepted at once while Better Auth <is unavailable>
      Given a Better Auth that is just installed
      And Alice has signed up there
      And Alice has looked at her tasks
      And Alice has a new token and Better Auth <is unavailable>
      When Alice lists her tasks
      Then Alice sees no tasks, and was not kept waiting

      Examples: Two ways of being unavailable
        | is unavailable    |
        | is down           |
        | no longer answers |

    @AC-002
    Scenario Outline: Nobody is signed out because a token can't be checked while Better Auth <is unavailable>
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Better Auth <is unavailable>
      When Alice tries to list the tasks in her list
      Then Alice is told that she can't be recognized right now
      And once Better Auth is back, Alice still has exactly the tasks "Buy milk"

      Examples: Two ways of being unavailable
        | is unavailable    |
        | is down           |
        | no longer answers |

  Rule: What Better Auth signs for other purposes opens nothing

    @AC-002
    Scenario Outline: Mallory can't get in with <thing>
      Given a Better Auth that <does>
      And Alice has signed up there
      And Alice has the task "Buy milk"
      When Mallory shows <thing> and tries to list Alice's tasks
      Then Mallory is told to sign in again
      And Alice still has exactly the tasks "Buy milk"

      Examples: Signed by Better Auth, and not issued to this service
        | thing                             | does                                                | why                                 |
        | the link in Alice's welcome email | is just installed                                   | it is signed with the shared secret |
        | the cookie of Alice's session     | keeps sessions in the browser                       | it is signed with the shared secret |
        | the signed cookie of her session  | keeps sessions in the browser, signed with its keys | it even names her as its subject    |
