Feature: Keeping tasks private
  Everyone sees and changes their own tasks, and nobody else's.

  Rule: Nobody gets into another person's list

    @AC-002
    Scenario Outline: <intruder> can't <action> in <owner>'s list
      Given <owner> has the task "Secret plan"
      And <intruder> is signed in
      When <intruder> tries to <action> in <owner>'s list
      Then <intruder> is told that these tasks are someone else's
      And <owner> still has exactly the tasks "Secret plan"
      And <intruder> has no tasks

      Examples: Bob against Alice
        | intruder | owner | action         | why                       |
        | Bob      | Alice | list the tasks | reading is private        |
        | Bob      | Alice | create a task  | writing is private        |
        | Bob      | Alice | open a task    | reading is private        |
        | Bob      | Alice | replace a task | writing is private        |
        | Bob      | Alice | change a task  | writing is private        |
        | Bob      | Alice | delete a task  | writing is private        |

      Examples: Alice against Bob
        | intruder | owner | action         | why                       |
        | Alice    | Bob   | list the tasks | reading is private        |
        | Alice    | Bob   | create a task  | writing is private        |
        | Alice    | Bob   | open a task    | reading is private        |
        | Alice    | Bob   | replace a task | writing is private        |
        | Alice    | Bob   | change a task  | writing is private        |
        | Alice    | Bob   | delete a task  | writing is private        |

  Rule: Another person's task does not exist for me

    @AC-002
    Scenario Outline: <intruder> can't <action> of <owner>'s as one of their own
      Given <owner> has the task "Secret plan"
      And <intruder> has the task "Own plan"
      When <intruder> tries to <action> of <owner>'s as one of their own
      Then <intruder> is told that there is no such task
      And <owner> still has exactly the tasks "Secret plan"
      And <intruder> still has exactly the tasks "Own plan"

      Examples: Bob against Alice
        | intruder | owner | action         | why                                      |
        | Bob      | Alice | open a task    | it must look as if it had never existed  |
        | Bob      | Alice | replace a task | it must look as if it had never existed  |
        | Bob      | Alice | change a task  | it must look as if it had never existed  |
        | Bob      | Alice | delete a task  | it must look as if it had never existed  |

      Examples: Alice against Bob
        | intruder | owner | action         | why                                      |
        | Alice    | Bob   | open a task    | it must look as if it had never existed  |
        | Alice    | Bob   | replace a task | it must look as if it had never existed  |
        | Alice    | Bob   | change a task  | it must look as if it had never existed  |
        | Alice    | Bob   | delete a task  | it must look as if it had never existed  |

    @AC-006
    Scenario: Each list holds its owner's tasks alone
      Given Alice has the tasks "Buy milk", "Pay the rent"
      And Bob has the task "Call Mum"
      When Bob lists his tasks
      Then Bob sees the tasks "Call Mum" in this order
      And Bob is told that 1 tasks match in all

    @AC-006
    Scenario: A page that starts at another person's task shows my own
      Given Bob has the task "Call Mum"
      And Alice has the tasks "Buy milk", "Pay the rent"
      When Bob lists his tasks after the task "Pay the rent" of Alice's
      Then Bob sees the tasks "Call Mum" in this order

  Rule: Refusals to another person come before anything else is judged

    @AC-002
    Scenario: Bad input to another person's list tells nothing about the input
      Given Alice has the task "Secret plan"
      And Bob is signed in
      When Bob tries to send nonsense to Alice's list
      Then Bob is told that these tasks are someone else's
      And Alice still has exactly the tasks "Secret plan"
