@US-5
Feature: Deleting tasks
  As a todo user
  I want to delete a task
  So that I can drop what I no longer want

  Rule: A deleted task is gone, and nothing else is

    @AC-001
    Scenario: Only the deleted task leaves the list
      Given Alice has the tasks "Buy milk", "Pay the rent"
      When Alice deletes the task "Buy milk"
      Then Alice is told that the task is deleted
      And Alice now has exactly the task "Pay the rent"

    @AC-004 @R-12
    Scenario: A task can be deleted only once
      Given Alice has the task "Buy milk"
      And Alice has deleted the task "Buy milk"
      When Alice tries to delete the task "Buy milk"
      Then Alice is told "You have no such task."
      And Alice still has no tasks

    @AC-004
    Scenario: A task that never existed can't be deleted
      Given Alice has the task "Buy milk"
      When Alice tries to delete a task that never existed
      Then Alice is told "You have no such task."
      And Alice still has exactly the task "Buy milk"

    @AC-003 @R-06
    Scenario: Something that is not a task's number can't be deleted
      Given Alice has the task "Buy milk"
      When Alice tries to delete a task whose number is given as abc
      Then Alice is told "task_id: must be a whole number, in digits"
      And Alice still has exactly the task "Buy milk"
