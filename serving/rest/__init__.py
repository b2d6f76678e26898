"""Rest plans: who may get what and is owed what, solved as one integer programme, followed to what was taken."""
