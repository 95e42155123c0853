Feature: Signing in
  The service accepts the tokens that Better Auth has issued, and no others.

  Rule: Nobody gets in without a token

    @AC-002
    Scenario Outline: A stranger can't <action>
      Given Alice has the task "Buy milk"
      When a stranger tries to <action> in Alice's list
      Then the stranger is told to sign in first
      And Alice still has exactly the tasks "Buy milk"

      Examples: Every action needs a token
        | action                     | why                                      |
        | list the tasks             |                                          |
        | create a task              |                                          |
        | open a task                |                                          |
        | replace a task             |                                          |
        | change a task              |                                          |
        | delete a task              |                                          |
        | send an unreadable request | it is not even read                      |
        | guess an address           | which addresses exist is not disclosed   |

  Rule: A good token opens its owner's list

    @AC-002
    Scenario Outline: A token that <what> is accepted
      Given Alice has the task "Buy milk"
      When Alice lists her tasks with a token that <what>
      Then Alice sees the tasks "Buy milk" in this order

      Examples: Better Auth's tokens differ
        | what                           | why                               |
        | names her twice                | both names agree                  |
        | names her as its subject alone | this is Better Auth's default     |
        | names her as its user alone    |                                   |
        | expired a moment ago           | clocks differ by some seconds     |

  Rule: Any other token is refused

    @AC-002
    Scenario Outline: A token that <what> is refused
      Given Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with a token that <what>
      Then Mallory is told to sign in again
      And Alice still has exactly the tasks "Buy milk"

      Examples: Forged, expired or meant for something else
        | what                             | why                                              |
        | is not a token at all            |                                                  |
        | is signed with another secret    | Mallory can't know ours                          |
        | is not signed                    | anybody could write it                           |
        | was changed after it was signed  | the signature no longer fits                     |
        | has expired                      |                                                  |
        | never expires                    |                                                  |
        | expires in a year                | no token of Better Auth's lives that long        |
        | is not valid yet                 |                                                  |
        | names nobody                     | Better Auth signs other things with the same key |
        | names her by email address alone | another claim never stands in for the user       |
        | names two different people       |                                                  |
        | is far too long                  | checking it would cost too much                  |

    @AC-002
    Scenario: Two tokens at once are refused
      Given Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with two tokens at once
      Then Mallory is told to sign in again
      And Alice still has exactly the tasks "Buy milk"

    @AC-002
    Scenario: A password is not a token
      Given Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with a password
      Then Mallory is told to sign in first
      And Alice still has exactly the tasks "Buy milk"
