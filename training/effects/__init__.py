"""Whether help helps: effects of actions from the ledger of past ones, expected benefit, events studied in time."""
