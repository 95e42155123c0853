@needs-node
Feature: Signing in with Better Auth
  People sign in with Better Auth as it comes, which gives them a signed token. The service needs Better Auth's address
  and nothing else: from there it gets the keys by which tokens are checked, and no secret need be shared. The keys may
  change at any time, and people go on working while Better Auth is unavailable.

  Rule: Whoever has signed in with Better Auth sees their tasks

    @AC-002
    Scenario Outline: Alice, signed in with a Better Auth that <does>, sees her tasks
      Given a Better Auth that <does>
      And Alice has signed up there
      And Alice has the task "Buy milk"
      When Alice lists her tasks
      Then Alice sees exactly the task "Buy milk"

      Examples: Better Auth can be set up in many ways; EdDSA, ES256 and RS256 are ways of signing
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

  Rule: A token that is too large is refused, so tokens should hold only id and email

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
    It signs with the new key from then on, and goes on publishing the old one.

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
      And their tokens were signed with at least 3 different keys

  Rule: A key that Better Auth withdraws stops working within 30 seconds
    Better Auth withdraws a key by publishing it no longer.

    @AC-002 @R-31
    Scenario: Half a minute after a key was withdrawn, what was signed with it is refused
      Given a Better Auth that is just installed
      And Alice has signed up there and has the task "Buy milk"
      And Alice has looked at her tasks
      When Better Auth withdraws its key, and Alice lists her tasks again and again for 30 seconds
      Then Alice is told "Sign in again: the token is not valid."
      And Alice still has exactly the task "Buy milk"

  Rule: While Better Auth is unavailable, people go on working if the service already knows its key

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
      Then Alice sees exactly the task "Buy milk" within half a second

      Examples: Two ways of being unavailable
        | is unavailable    |
        | is down           |
        | no longer answers |

    @AC-002 @R-32
    Scenario Outline: While Better Auth <is unavailable> and its key is unknown, Alice is asked to try again, not to sign in again
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
    Scenario: Made-up keys open nothing, and Better Auth is not asked about each of them
      Given a Better Auth that counts how often it is asked for its keys
      And Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with 50 tokens at once, each signed with a key under another made-up name
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
        | thing                                                         | does                                                | why                                 |
        | the link in Alice's welcome email                             | is just installed                                   | it is signed with the shared secret |
        | the cookie of Alice's session                                 | keeps sessions in the browser                       | it is signed with the shared secret |
        | the cookie of Alice's session, signed with Better Auth's keys | keeps sessions in the browser, signed with its keys | it even names her as its subject    |
