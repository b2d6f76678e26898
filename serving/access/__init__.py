"""Who may do what, and what was done: accounts, sign-in, tokens, the audit chain."""
