"""What people did a moment ago, and answers that know it: the online behaviour store and the decision service."""
