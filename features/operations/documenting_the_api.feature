Feature: Documenting the API
  A frontend developer finds everything that the service does in its documentation.

  Rule: The documentation is complete and true

    @AC-005
    Scenario: Every endpoint is documented, and asks for a token
      When a developer reads the documentation
      Then the six things one can do with tasks are there, each behind a token

    @AC-005
    Scenario: Every schema is documented with its limits
      When a developer reads the documentation
      Then the schemas are there with the limits of titles and descriptions

    @AC-005
    Scenario Outline: The documentation says how trying to <action> can end
      When a developer reads the documentation
      Then trying to <action> can end exactly in <ends>

      Examples: Every end of every thing one can do
        | action         | ends                                                                                                              | why                                     |
        | list the tasks | success, no token, not yours, broken rule, our failure                                                            | nothing is looked up by id              |
        | create a task  | success, no token, not yours, broken rule, our failure, makes no sense, too much                                  | what is sent can be bad                 |
        | open a task    | success, no token, not yours, broken rule, our failure, no such task, nothing new                                 | the task may be gone, or known          |
        | replace a task | success, no token, not yours, broken rule, our failure, no such task, makes no sense, too much, changed meanwhile | both, and another change may come first |
        | change a task  | success, no token, not yours, broken rule, our failure, no such task, makes no sense, too much, changed meanwhile | both, and another change may come first |
        | delete a task  | success, no token, not yours, broken rule, our failure, no such task, changed meanwhile                           | the task may be gone, or changed        |

  Rule: The documentation can be read in a browser

    @AC-005
    Scenario Outline: <page> opens, with nothing from elsewhere
      When a developer opens <page>
      Then the page shows, and every part of it comes from the service itself

      Examples: Two ways to read
        | page   | why               |
        | /docs  | to try things out |
        | /redoc | to read           |

    @AC-005 @needs-node @needs-chromium
    Scenario: A developer tries the service out from the documentation itself
      When a developer reads both pages where nothing else can be reached, and creates and lists tasks there as Alice
      Then both pages show the six things one can do with tasks, and every schema
      And what was tried out has worked
      And the pages asked nobody else for anything but a logo, in vain
