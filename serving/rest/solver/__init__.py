"""The integer programme of a rest plan: what is demanded, as rows and columns; why demands clash."""
