Feature: Documenting the API
  A developer of a frontend finds everything that the service does in its documentation: each endpoint, which is a
  kind of request; each schema, which says what a request or an answer holds; and each status, the number that says how
  it ended.

  Rule: The documentation is complete and true

    @AC-005
    Scenario: Every endpoint is documented, and asks for a token
      When a developer reads the documentation
      Then it has the six endpoints for tasks, and each asks for a token

    @AC-005
    Scenario: Every schema is documented with its limits
      When a developer reads the documentation
      Then it has all the schemas, with titles of 1 to 200 characters and descriptions of at most 1,000

    @AC-005 @R-26
    Scenario Outline: The documentation says how a request to <action> can end
      When a developer reads the documentation
      Then a request to <action> can end exactly with <statuses>

      Examples: Every status of every request
        | action         | statuses                                    |
        | list the tasks | 200, 401, 403, 422, 500                     |
        | create a task  | 201, 400, 401, 403, 413, 422, 500           |
        | open a task    | 200, 304, 401, 403, 404, 422, 500           |
        | replace a task | 200, 400, 401, 403, 404, 412, 413, 422, 500 |
        | change a task  | 200, 400, 401, 403, 404, 412, 413, 422, 500 |
        | delete a task  | 204, 401, 403, 404, 412, 422, 500           |

  Rule: The documentation can be read in a browser

    @AC-005
    Scenario Outline: <page> needs nothing from other sites
      When a developer opens <page>
      Then the page shows, and every part that it needs comes from the service itself

      Examples: Two pages
        | page   | why               |
        | /docs  | to try things out |
        | /redoc | to read           |

    @AC-005 @needs-node @needs-chromium
    Scenario: A developer tries the service out from the documentation itself
      When a developer uses both pages without internet access, and there creates a task and lists the tasks as Alice
      Then both pages show the six endpoints for tasks, and every schema
      And what was tried out has worked
      And the pages asked other sites for nothing but a logo, which they don't need and did not get
