Feature: Signing in
  The service trusts the tokens that Better Auth has issued, and no others.

  Rule: Nobody gets in without a token

    @AC-002
    Scenario Outline: A stranger can't <action>
      Given Alice has the task "Buy milk"
      When a stranger tries to <action> in Alice's list
      Then the stranger is told to sign in first
      And Alice still has exactly the tasks "Buy milk"

      Examples: All that one can do asks for a token
        | action         | why                      |
        | list the tasks | reading needs a token    |
        | create a task  | writing needs a token    |
        | open a task    | reading needs a token    |
        | replace a task | writing needs a token    |
        | change a task  | writing needs a token    |
        | delete a task  | writing needs a token    |
        | send nonsense  | not even nonsense is read |
        | find a way in  | what exists is not told  |

  Rule: A good token opens its owner's list

    @AC-002
    Scenario Outline: A token that <what> is good
      Given Alice has the task "Buy milk"
      When Alice lists her tasks with a token that <what>
      Then Alice sees the tasks "Buy milk" in this order

      Examples: Better Auth's tokens differ
        | what                           | why                                         |
        | names her twice                | both names agree                            |
        | names her as its subject alone | Better Auth's default                       |
        | names her as its user alone    | either name will do                         |
        | ended a moment ago             | clocks differ by some seconds               |

  Rule: A token that is not good opens nothing

    @AC-002
    Scenario Outline: A token that <what> is refused
      Given Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with a token that <what>
      Then Mallory is told to sign in again
      And Alice still has exactly the tasks "Buy milk"

      Examples: Forged, worn out or meant for something else
        | what                                | why                                               |
        | is no token at all                  | anything can be sent                              |
        | is signed with another secret       | Mallory can't know ours                           |
        | is not signed                       | anybody could write it                            |
        | was changed after it was signed     | the signature is of other words                   |
        | has expired                         | tokens end                                        |
        | never expires                       | tokens end                                        |
        | expires in a year                   | no token of Better Auth's lives that long         |
        | is not valid yet                    | its time has not come                             |
        | names nobody                        | Better Auth signs other things with the same key  |
        | names her by mail address alone     | another claim is never a fallback                 |
        | names two different people          | one of them would be a lie                        |
        | is far too long                     | checking it would cost too much                   |

    @AC-002
    Scenario: Two tokens at once are one too many
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
