"""What is offered to persons, followed from proposal to done; and the ledger of help that feeds the histories."""
