Feature: Signing in
  Better Auth is where people sign in. It gives them a token: a text that names the person and the time until which it
  is good, signed with a key or a secret. The service accepts these tokens and no others; in development it also accepts
  those that the operator makes with the command todo-api token.

  Rule: Nobody gets in without a token

    @AC-002 @R-11
    Scenario Outline: A stranger can't <action>
      Given Alice has the task "Buy milk"
      When a stranger tries to <action> in Alice's list
      Then the stranger is told "Sign in first: no bearer token was sent."
      And Alice still has exactly the task "Buy milk"

      Examples: Every action needs a token
        | action                     | why                                  |
        | list the tasks             |                                      |
        | create a task              |                                      |
        | open a task                |                                      |
        | replace a task             |                                      |
        | change a task              |                                      |
        | delete a task              |                                      |
        | send an unreadable request | it is not even read                  |
        | guess an address           | which of them exist is not disclosed |

  Rule: A good token opens its owner's list

    @AC-002 @R-27
    Scenario Outline: A token that <what> is accepted
      Given Alice has the task "Buy milk"
      When Alice lists her tasks with a token that <what>
      Then Alice sees exactly the task "Buy milk"

      Examples: Better Auth's tokens differ
        | what                           | why                           |
        | names her as subject and user  |                               |
        | names her as its subject alone | this is Better Auth's default |
        | names her as its user alone    |                               |

      Examples: Clocks differ by some seconds: ten are allowed
        | what                         |
        | expired 8 seconds ago        |
        | becomes valid in 8 seconds   |
        | is issued 8 seconds from now |

      Examples: A token lasts for 31 days at most
        | what               |
        | expires in 31 days |

      Examples: A token may say of itself that it is one
        | what                                        |
        | says that it is of the type JWT             |
        | says that it is of the type jwt             |
        | says that it is of the type application/jwt |

  Rule: Any other token is refused

    @AC-002 @R-27 @R-38
    Scenario Outline: A token that <what> is refused
      Given Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with a token that <what>
      Then Mallory is told "Sign in again: the token is not valid."
      And Alice still has exactly the task "Buy milk"

      Examples: Forged
        | what                            | why                             |
        | is not a token at all           |                                 |
        | is signed with another secret   | Mallory can't know ours         |
        | is not signed                   | anybody could write it          |
        | was changed after it was signed | the signature no longer fits    |
        | is far too long                 | checking it would cost too much |

      Examples: Too old, too new, or for too long
        | what                            | why                                       |
        | expired 11 seconds ago          | ten are allowed, since clocks differ      |
        | never expires                   |                                           |
        | expires in 31 days and a minute | no token of Better Auth's lives that long |
        | becomes valid in a minute       |                                           |
        | is issued a minute from now     |                                           |

      Examples: For something else
        | what                                           | why                                            |
        | says that it is of the type at+jwt             | it opens another service                       |
        | says that it is of the type application/at+jwt | it opens another service                       |
        | says that it is of the type dpop+jwt           | it proves that somebody has a key, and no more |

      @R-29
      Examples: Not for a person
        | what                             | why                                              |
        | names nobody                     | Better Auth signs other things with the same key |
        | names her by email address alone | another claim never stands in for the user       |
        | names two different people       |                                                  |

    @AC-002 @R-27
    Scenario: A token that was good is refused once it has expired
      Given Alice has the task "Buy milk"
      And Alice has listed her tasks with a token that expires within some seconds
      When Alice tries that token again after it has expired
      Then Alice is told "Sign in again: the token is not valid."
      And Alice still has exactly the task "Buy milk"

    @AC-002 @R-28 @R-38
    Scenario: Two tokens at once are refused
      Given Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with two tokens at once
      Then Mallory is told "Sign in again: the token is not valid."
      And the log has nothing with which anybody could sign in
      And Alice still has exactly the task "Buy milk"

    @AC-002 @R-28 @R-38
    Scenario: A password is not a token
      Given Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with a password
      Then Mallory is told "Sign in first: no bearer token was sent."
      And the log has nothing with which anybody could sign in
      And Alice still has exactly the task "Buy milk"

  Rule: A person's id has 1 to 255 characters, without slashes, control characters, or spaces around it

    @AC-002 @R-05
    Scenario Outline: Somebody whose id <what> can use the service
      Given somebody is signed in whose id <what>
      When they create the task "Buy milk"
      Then they have exactly the task "Buy milk", at an address of their own
      And once they have a second task, they can turn the pages of their list

      Examples: From 1 to 255 characters, of almost any kind
        | what                      |
        | is one letter             |
        | has 255 characters        |
        | has 255 umlauts           |
        | has a space inside        |
        | has an accent and a quote |
        | has a question mark       |

    @AC-002 @R-04 @R-05
    Scenario Outline: A token for somebody whose id <what> is refused
      Given Alice has the task "Buy milk"
      When Mallory tries to list Alice's tasks with a token for somebody whose id <what>
      Then Mallory is told "Sign in again: the token is not valid."
      And Alice still has exactly the task "Buy milk"

      Examples: What can't be anybody's id
        | what                           | why                                    |
        | is empty                       |                                        |
        | has 256 characters             | 255 is the limit                       |
        | begins with a space            | it would be taken for another person's |
        | ends with a space              | it would be taken for another person's |
        | ends with a line break         | it would be taken for another person's |
        | has a slash                    | it would be another address            |
        | has an invisible NUL character | the database can't store it            |
        | has an invisible line end      | nobody sees it in a log or a list      |
        | has a broken character         | one half of an emoji is not text       |
        | is a number                    | 4711 is not turned into "4711"         |

    @AC-002 @R-04
    Scenario Outline: An address with <what> in the place of Alice's id is not hers
      Given Alice has the task "Buy milk"
      When Alice tries to list the tasks at an address with <what> in the place of her id
      Then Alice is told "You have no access to another user's data."
      And Alice still has exactly the task "Buy milk"

      Examples: What is not Alice's id
        | what                       |
        | an invisible NUL character |
        | a broken character         |
        | ALICE in capitals          |
