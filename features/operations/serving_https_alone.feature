Feature: Serving https alone
  In production nobody gets tasks unencrypted, and browsers are told to come over https from then on.

  Rule: In production the tasks are served over https alone

    @AC-002 @R-34
    Scenario Outline: <who> can't list the tasks over http
      Given a service in production
      And Alice has the task "Buy milk"
      When <who> tries to list Alice's tasks over http
      Then <who> is told "Use HTTPS."
      And Alice still has exactly the task "Buy milk"

      Examples: Before anything else is checked, even the token
        | who        |
        | Alice      |
        | Bob        |
        | A stranger |

    @AC-002 @R-34
    Scenario Outline: Alice can't <action> over http
      Given a service in production
      And Alice has the task "Buy milk"
      When Alice tries to <action> over http
      Then Alice is told "Use HTTPS."
      And Alice still has exactly the task "Buy milk"

      Examples: Whatever is to be done
        | action         |
        | create a task  |
        | open a task    |
        | replace a task |
        | change a task  |
        | delete a task  |

    @AC-002 @R-34
    Scenario: Over https a refusal tells the browser the same
      Given a service in production
      And Alice has the task "Buy milk"
      When a stranger tries to list Alice's tasks over https
      Then the stranger is told "Sign in first: no bearer token was sent."
      And the stranger's browser is told to use https alone for a year
      And Alice still has exactly the task "Buy milk"

    @AC-002 @R-34
    Scenario: Over https Alice lists her tasks, and her browser is told to come back over https
      Given a service in production
      And Alice has the task "Buy milk"
      When Alice lists her tasks over https
      Then Alice sees exactly the task "Buy milk"
      And her browser is told to use https alone for a year

    @AC-004 @R-34
    Scenario: The load balancer may ask over http
      Given a service in production
      When the load balancer asks over http whether the service is up, and whether it is ready
      Then it is told that the service is up, and that it is ready

    @AC-004 @R-34
    Scenario: In development the tasks are served over http too
      Given Alice has the task "Buy milk"
      When Alice lists her tasks
      Then Alice sees exactly the task "Buy milk"
      And her browser is not told to use https

  Rule: Behind a proxy that it is told of, the service takes the proxy's word

    @AC-002 @R-34
    Scenario Outline: Alice lists her tasks where the proxy says <what>
      Given a service in production behind a trusted proxy
      And Alice has the task "Buy milk"
      When Alice lists her tasks, and the proxy says <what>
      Then Alice sees exactly the task "Buy milk"

      Examples: What it says first is how Alice came
        | what        | why                                       |
        | https       |                                           |
        | HTTPS       | in capitals it is the same                |
        | https, http | behind it stands another proxy, over http |

    @AC-002 @R-34
    Scenario Outline: Alice can't list her tasks where <whom> says <what>, and the log says why
      Given a service in production behind <whom>
      And Alice has the task "Buy milk"
      When Alice tries to list her tasks, and the proxy says <what>
      Then Alice is told "Use HTTPS."
      And the log gives the reason "<reason>"
      And Alice still has exactly the task "Buy milk"

      Examples: Each has a remedy of its own
        | whom             | what        | reason                                                                                  |
        | a trusted proxy  | nothing     | no X-Forwarded-Proto was sent                                                           |
        | a trusted proxy  | http        | X-Forwarded-Proto is 'http'                                                             |
        | a trusted proxy  | http, https | X-Forwarded-Proto is 'http'                                                             |
        | an unknown proxy | https       | X-Forwarded-Proto is https, but FORWARDED_ALLOW_IPS does not name its sender, 127.0.0.1 |
