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
      Then Alice sees exactly the task "Buy milk"

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
      Then Bob is told "You have no access to another user's data."
      And Alice still has exactly the task "Buy milk"

    @AC-002
    Scenario: A large picture in a profile does no harm where tokens tell the user's id and email address only
      Given a Better Auth that tells the user's id and email address only
      And Alice has signed up there with a large picture in her profile
      And Alice has the task "Buy milk"
      When Alice lists her tasks
      Then Alice sees exactly the task "Buy milk"

    @AC-002
    Scenario: A large picture in a profile is too much where tokens hold the whole user
      Given a Better Auth that is just installed
      And Alice has signed up there with a large picture in her profile
      And Alice has the task "Buy milk"
      When Alice tries to list the tasks in her list
      Then Alice is told "Sign in again: the token is not valid."
      And Alice still has exactly the task "Buy milk"

  Rule: When Better Auth changes its key, nobody is signed out

    @AC-002 @R-30
    Scenario: A token stays good when Better Auth has changed its key
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Alice has looked at her tasks
      And Better Auth has changed its key
      When Alice lists her tasks
      Then Alice sees exactly the task "Buy milk"

    @AC-002 @R-30
    Scenario: A token signed with a new key is accepted at its first use
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Alice has looked at her tasks
      And Better Auth has changed its key
      When Alice lists her tasks with a new token, signed with a new key
      Then Alice sees exactly the task "Buy milk"

    @AC-002 @R-30
    Scenario: While keys change every second, no request fails
      Given a Better Auth that changes its key every second
      And Alice has signed up there
      When Alice's 8 devices list her tasks for 5 seconds, with a new token each time
      Then none of the requests has failed
      And their tokens were signed with at least 3 keys

    @AC-002 @R-31
    Scenario: Half a minute after a key was withdrawn, what was signed with it is refused
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Alice has looked at her tasks
      When Better Auth withdraws its key, and 30 seconds pass
      Then Alice is told "Sign in again: the token is not valid."
      And Alice still has exactly the task "Buy milk"

  Rule: While Better Auth is unavailable, people go on working

    @AC-002 @R-31
    Scenario Outline: Alice goes on while Better Auth <is unavailable>
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Alice has looked at her tasks
      And Better Auth <is unavailable>
      When Alice creates the task "Pay the rent"
      Then Alice is shown the new task "Pay the rent" and where to find it

      Examples: Two ways of being unavailable
        | is unavailable    |
        | is down           |
        | no longer answers |

    @AC-002 @R-31
    Scenario Outline: A new token is accepted at once while Better Auth <is unavailable>
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Alice has looked at her tasks
      And Alice has a new token and Better Auth <is unavailable>
      When Alice lists her tasks
      Then Alice sees exactly the task "Buy milk", and was not kept waiting

      Examples: Two ways of being unavailable
        | is unavailable    |
        | is down           |
        | no longer answers |

    @AC-002 @R-32
    Scenario Outline: Nobody is signed out because a token can't be checked while Better Auth <is unavailable>
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Better Auth <is unavailable>
      When Alice tries to list the tasks in her list
      Then Alice is told "Your sign-in can't be checked right now; please try again."
      And once Better Auth is back, Alice still has exactly the task "Buy milk"

      Examples: Two ways of being unavailable
        | is unavailable    |
        | is down           |
        | no longer answers |

  Rule: Only a key that this Better Auth publishes opens anything

    @AC-002 @R-27
    Scenario: Mallory can't get in with a Better Auth of her own
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Mallory has signed up at a Better Auth of her own
      When Mallory tries to list Alice's tasks with the token that she got there
      Then Mallory is told "Sign in again: the token is not valid."
      And Alice still has exactly the task "Buy milk"

    @AC-002 @R-30
    Scenario: Made-up key ids open nothing, and Better Auth is not asked each time
      Given a Better Auth that counts how often it is asked for its keys
      And Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with 50 tokens at once, each under another made-up key id
      Then each of them is told to sign in again
      And Better Auth was asked for its keys at most 3 times
      And Alice still has exactly the task "Buy milk"

  Rule: What Better Auth signs for other purposes opens nothing

    @AC-002 @R-29
    Scenario Outline: Mallory can't get in with <thing>
      Given a Better Auth that <does>
      And Alice has signed up there
      And Alice has the task "Buy milk"
      When Mallory shows <thing> and tries to list Alice's tasks
      Then Mallory is told "Sign in again: the token is not valid."
      And Alice still has exactly the task "Buy milk"

      Examples: Signed by Better Auth, and not issued to this service
        | thing                             | does                                                | why                                 |
        | the link in Alice's welcome email | is just installed                                   | it is signed with the shared secret |
        | the cookie of Alice's session     | keeps sessions in the browser                       | it is signed with the shared secret |
        | the signed cookie of her session  | keeps sessions in the browser, signed with its keys | it even names her as its subject    |
