"""What people decide: flags and their reviews, objections, consent, requests for help, published lists."""
