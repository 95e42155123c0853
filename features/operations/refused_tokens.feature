Feature: Refused tokens
  Whoever runs the service reads in one log line why a token was refused. Whoever calls is not told. A token is the text
  that a person gets by signing in with Better Auth; it is signed with one of Better Auth's keys, or with its secret.

  Rule: The log names the cause of a refused token, and no token

    @AC-002 @R-38
    Scenario Outline: The log names this cause: <why>
      Given a service with <settings>
      And Alice has the task "Buy milk"
      When Alice tries to list her tasks, sending <token>
      Then Alice is told "Sign in again: the token is not valid."
      And the log gives the reason "<reason>", and nothing with which anybody could sign in
      And Alice still has exactly the task "Buy milk"

      Examples: What goes wrong on the first day
        | why                                    | settings                                                                | token                                  | reason                                                                     |
        | two names for one host                 | BETTER_AUTH_URL=http://127.0.0.1:3000                                   | one issued by http://localhost:3000    | EdDSA: iss is 'http://localhost:3000', expected 'http://127.0.0.1:3000'    |
        | a slash after the issuer               | BETTER_AUTH_URL=http://127.0.0.1:3000 JWT_ISSUER=http://127.0.0.1:3000/ | one issued by http://127.0.0.1:3000    | EdDSA: iss is 'http://127.0.0.1:3000', expected 'http://127.0.0.1:3000/'   |
        | another audience                       | BETTER_AUTH_URL=http://127.0.0.1:3000 JWT_AUDIENCE=todo                 | one issued by http://127.0.0.1:3000    | EdDSA: aud is 'http://127.0.0.1:3000', expected 'todo'                     |
        | an expired token                       | BETTER_AUTH_SECRET=…                                                    | one that expired 12 s ago              | HS256: expired 12 s ago                                                    |
        | a token without an end                 | BETTER_AUTH_SECRET=…                                                    | one that lasts for a year              | exp is not an integer within 31 days                                       |
        | a token for two people                 | BETTER_AUTH_SECRET=…                                                    | one that names two people              | user_id and sub are not one user's id                                      |
        | the session's token instead of the JWT | BETTER_AUTH_URL=http://127.0.0.1:3000                                   | the token that sign-in answers with    | not a JWT (32 characters)                                                  |
        | a page without a token                 | BETTER_AUTH_URL=http://127.0.0.1:3000                                   | the word undefined                     | not a JWT (9 characters): undefined                                        |
        | a forgotten BETTER_AUTH_URL            | BETTER_AUTH_SECRET=…                                                    | one issued by http://127.0.0.1:3000    | EdDSA, but BETTER_AUTH_URL is not set                                      |
        | a forgotten BETTER_AUTH_SECRET         | BETTER_AUTH_URL=http://127.0.0.1:3000                                   | one made with todo-api token           | HS256, but BETTER_AUTH_SECRET is not set                                   |
        | another BETTER_AUTH_SECRET             | BETTER_AUTH_SECRET=…                                                    | one made with todo-api token elsewhere | HS256: Signature verification failed                                       |
        | a key of another Better Auth           | BETTER_AUTH_URL=http://127.0.0.1:3000                                   | one under a key that is not published  | kid is 'another', which http://127.0.0.1:3000/api/auth/jwks does not serve |

      Examples: A token for something else
        | why                        | settings             | token                  | reason                       |
        | what opens another service | BETTER_AUTH_SECRET=… | one of the type at+jwt | typ is 'at+jwt', and not JWT |

      @R-31
      Examples: A key server without a key that fits
        | why                        | settings                                                                                  | token                               | reason                                                                   |
        | a JWT plugin without a key | BETTER_AUTH_URL=http://127.0.0.1:3000, whose key server answers with an empty set         | one issued by http://127.0.0.1:3000 | kid is 'known', which http://127.0.0.1:3000/api/auth/jwks does not serve |
        | a key to encrypt with      | BETTER_AUTH_URL=http://127.0.0.1:3000, whose key server answers with a key for encryption | one issued by http://127.0.0.1:3000 | kid is 'known', which http://127.0.0.1:3000/api/auth/jwks does not serve |
        | a key to sign with alone   | BETTER_AUTH_URL=http://127.0.0.1:3000, whose key server answers with a key for signing    | one issued by http://127.0.0.1:3000 | kid is 'known', which http://127.0.0.1:3000/api/auth/jwks does not serve |

  Rule: Where the keys can't be had, the log says from where and why

    @AC-002 @R-32 @R-38
    Scenario Outline: The log says what the key server did: <why>
      Given a service with BETTER_AUTH_URL=http://127.0.0.1:3000, whose key server answers with <answer>
      And Alice has the task "Buy milk"
      When Alice tries to list her tasks, sending one issued by http://127.0.0.1:3000
      Then Alice is told "Your sign-in can't be checked right now; please try again."
      And the log gives the reason "no keys from http://127.0.0.1:3000/api/auth/jwks: <reason>", and nothing with which anybody could sign in
      And Alice still has exactly the task "Buy milk"

      Examples: Failures
        | why                              | answer             | reason                                                     |
        | Better Auth without a JWT plugin | a 404              | status 404: is the JWT plugin there, and its table?        |
        | a JWT plugin without its table   | a 500              | status 500: is the JWT plugin there, and its table?        |
        | another address for the same app | a redirect         | status 302: redirected to /elsewhere/api/auth/jwks         |
        | another site at that address     | HTML               | JSONDecodeError: Expecting value: line 1 column 1 (char 0) |
        | a broken network                 | a reset connection | ReadError:                                                 |
