Feature: Starting the service
  A service that can't be safe does not start, and says why. On a developer's machine it starts with nothing configured.

  Rule: In production an unsafe setting stops the start

    @AC-002 @R-33
    Scenario Outline: The service does not start in production with <what>
      When an operator starts the service in production with <what>
      Then it does not start, and says only "<message>"

      Examples: Each message names the variable
        | what                             | message                                                                                               |
        | no address of a database         | todo-api: DATABASE_URL is missing: production has no embedded database                                |
        | no way to sign in                | todo-api: BETTER_AUTH_URL or BETTER_AUTH_SECRET is missing: nobody could sign in                      |
        | a secret of 31 bytes             | todo-api: BETTER_AUTH_SECRET must have at least 32 bytes                                              |
        | Better Auth's well-known secret  | todo-api: BETTER_AUTH_SECRET is well known or easily guessed: make one with `openssl rand -base64 32` |
        | a secret of one letter           | todo-api: BETTER_AUTH_SECRET is well known or easily guessed: make one with `openssl rand -base64 32` |
        | a weak secret beside Better Auth | todo-api: BETTER_AUTH_SECRET must have at least 32 bytes                                              |
        | every site allowed to call       | todo-api: CORS_ORIGINS must name its origins in production, not *                                     |
        | one site and every site          | todo-api: CORS_ORIGINS must name its origins in production, not *                                     |
        | a database of white space alone  | todo-api: DATABASE_URL is missing: production has no embedded database                                |
        | quotes around the database       | todo-api: DATABASE_URL has quotes around it: write the value without them                             |
        | a Better Auth without encryption | todo-api: BETTER_AUTH_URL must be https in production                                                 |

  Rule: White space around a setting is no part of it, but for a secret, which may be of any characters

    @AC-002 @R-33
    Scenario: A line break behind the issuer's name, or a space before it, locks nobody out
      Given a service whose JWT_ISSUER begins with a space and ends with a line break
      And Alice has the task "Buy milk"
      When Alice lists her tasks with a token of that issuer
      Then Alice sees exactly the task "Buy milk"

  Rule: In development nothing need be configured

    @AC-001 @R-36
    Scenario: The service starts with nothing configured, and says how to get a token
      Given an empty folder, and nothing configured
      When a developer starts the service
      Then it says with which command to get a token for anybody
      And with such a token the developer can create a task and list it
