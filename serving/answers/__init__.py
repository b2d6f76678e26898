"""What stands around every answer: headers, problems, log lines, the document of the API."""
