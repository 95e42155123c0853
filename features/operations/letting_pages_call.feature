Feature: Letting pages call
  Before a page in a browser may call the service, the browser asks the service whether that page may. Pages of the
  frontend may, and those of other sites may not. A browser's credentials are what it sends by itself, such as a cookie.

  Rule: A page of the frontend may do all that a person can do

    @AC-004 @R-35
    Scenario Outline: A page of the frontend may send <method> with <header>
      Given the frontend is at http://localhost:3000
      When a page of http://localhost:3000 asks whether it may send <method> with <header>
      Then the page may send it, and its browser's credentials too

      Examples: Every method
        | method | header        |
        | GET    | Authorization |
        | POST   | Authorization |
        | PUT    | Authorization |
        | PATCH  | Authorization |
        | DELETE | Authorization |

      Examples: Every header
        | method | header          |
        | POST   | Content-Type    |
        | POST   | Idempotency-Key |
        | PATCH  | If-Match        |
        | GET    | If-None-Match   |
        | GET    | X-Request-ID    |

    @AC-004 @R-35
    Scenario: A page of the frontend can read what it needs of an answer
      Given the frontend is at http://localhost:3000
      And Alice has the task "Buy milk"
      When a page of http://localhost:3000 lists the tasks as Alice
      Then the page can read the answer, though its browser sent credentials
      And the page can read the headers ETag, Link, Location, Retry-After and X-Request-ID

    @AC-004 @R-35
    Scenario Outline: A page of the frontend can read the answer to <what>
      Given the frontend is at http://localhost:3000
      And Alice has the task "Buy milk"
      When a page of http://localhost:3000 asks as Alice for <what>
      Then the page can read the answer, though its browser sent credentials
      And the page can read the headers ETag, Link, Location, Retry-After and X-Request-ID
      And no cache gives the answer to a page of another site

      Examples: Successes and refusals
        | what                                  |
        | a new task                            |
        | a changed task                        |
        | the confirmation of a deletion        |
        | a refusal of somebody else's list     |
        | a refusal of something unreadable     |
        | a refusal of something too large      |
        | a refusal of a wrong field            |
        | a refusal of a task that is not there |
        | a refusal of an older version         |
        | a refusal of an unsupported action    |

    @AC-004 @R-35
    Scenario: A page of the frontend can read a refusal
      Given the frontend is at http://localhost:3000
      When a page of http://localhost:3000 lists the tasks without a token
      Then the page is told "Sign in first: no bearer token was sent."
      And the page can read the answer, though its browser sent credentials

    @AC-004 @R-35
    Scenario Outline: A page of the frontend is told that it may not send <what>
      Given the frontend is at http://localhost:3000
      When a page of http://localhost:3000 asks whether it may send <what>
      Then the page may not send it, and its browser can say why

      Examples: What the service does not take
        | what                      |
        | GET with X-Requested-With |
        | TRACE with Authorization  |

  Rule: A page of another site may do nothing

    @AC-004 @R-35
    Scenario Outline: A page of <site> may not call
      Given the frontend is at http://localhost:3000
      When a page of <site> asks whether it may send GET with Authorization
      Then the browser is told that it may not
      And the page can read no answer

      Examples: Close is not enough
        | site                       | why                                |
        | https://evil.example       |                                    |
        | http://localhost:3001      | another port                       |
        | https://localhost:3000     | another protocol                   |
        | http://localhost:3000.evil | it only begins like the frontend's |
        | null                       | the site of a page in a sandbox    |

    @AC-004 @R-35
    Scenario: A page of another site that calls without asking first can't read the answer
      Given the frontend is at http://localhost:3000
      When a page of https://evil.example lists the tasks without a token
      Then the page can read no answer

    @AC-004 @R-35
    Scenario: A page of another site can't read what its visitor's token would show
      Given the frontend is at http://localhost:3000
      And Alice has the task "Buy milk"
      When a page of https://evil.example lists the tasks as Alice
      Then the page can read no answer

  Rule: In development any page may call, and then without credentials

    @AC-004 @R-35
    Scenario: Any page may call where all are allowed
      Given the service lets any page call, as in development
      When a page of https://elsewhere.example asks whether it may send GET with Authorization
      Then the page may send it, but not its browser's credentials

  Rule: The log names the page that was refused

    @AC-004 @R-35 @R-38
    Scenario Outline: The log names the page that may not call, and the reason: <why>
      Given the frontend is at http://localhost:5173
      When a page of <page> asks whether it may send GET with <header>
      Then the line of the request in the log gives the reason "<reason>"

      Examples: Pages
        | why                    | page                  | header           | reason                                                                                                                                                    |
        | two names for one host | http://127.0.0.1:5173 | Authorization    | Disallowed CORS origin: CORS_ORIGINS does not name 'http://127.0.0.1:5173'                                                                                |
        | a header of its own    | http://localhost:5173 | X-Requested-With | Disallowed CORS headers: 'http://localhost:5173' asked for {'access-control-request-method': 'GET', 'access-control-request-headers': 'x-requested-with'} |
